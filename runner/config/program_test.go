package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Relative paths start at the file's folder, as those of models do; self is no path.
func TestProgramPaths(t *testing.T) {
	t.Setenv("LLMSCALE_DIR", "/opt/builds")
	c := parse(t, s+`backends:
  - {name: own, dtype: f32}
  - {name: self, dtype: f32, program: self}
  - {name: x, dtype: f32, program: [self, ../bin/llmscale-old, "${LLMSCALE_DIR}/new"]}
`+m)
	dir := c.Dir()
	want := []struct{ name, program, path string }{
		{"own", "", ""}, {"self", "", ""}, {"x_self", "", ""},
		{"x_llmscale-old", "../bin/llmscale-old", filepath.Join(dir, "../bin/llmscale-old")},
		{"x_new", "${LLMSCALE_DIR}/new", "/opt/builds/new"},
	}
	for i, b := range c.Backends {
		if w := want[i]; b.Name != w.name || b.Program != w.program || b.ProgramPath != w.path {
			t.Errorf("%s: program %q at %q, want %+v", b.Name, b.Program, b.ProgramPath, w)
		}
	}
	for _, line := range []struct {
		backend int
		want    string
	}{{3, "dir/x.yaml:5:43: backends[2].program[1]: is old"}, {4, "dir/x.yaml:5:64: backends[2].program[2]: is old"}} {
		if got := c.ProgramError(c.Backends[line.backend], "is %s", "old").Error(); got != line.want {
			t.Errorf("%s, want %s", got, line.want)
		}
	}
}

func TestBadPrograms(t *testing.T) {
	os.Unsetenv("LLMSCALE_NOWHERE")
	for _, tc := range []struct{ keys, want string }{
		{`program: ""`, "backends[0].program: must not be empty"},
		{"program: 5", "backends[0].program: must be text, not the number 5; quote it"},
		{"program: ~/llmscale", "backends[0].program: ~ is not expanded; write $HOME/llmscale"},
		{"program: [a, $LLMSCALE_NOWHERE/b]", "backends[0].program[1]: the environment variable LLMSCALE_NOWHERE is not set; set it to the path of the program"},
		{"program: [a, b, a]", "backends[0].program[2]: a stands in this list already; remove it"},
		{"program: []", "backends[0].program: the list is empty; write for example [../bin/llmscale, ../bin/llmscale-ollama]"},
		{"kind: ollama, import: true, program: a", "backends[0].program: means nothing for kind ollama: the server computes; remove it"},
	} {
		_, err := Parse("x.yaml", []byte(oneBackend(tc.keys)))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.keys, err, tc.want)
		}
	}
}
