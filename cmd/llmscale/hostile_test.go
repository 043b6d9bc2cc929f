package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/gguf/inspect"
	"llmscale/gguf/synth"
	"llmscale/internal/text"
)

// hostileName sets a terminal's title and turns the direction of what follows; it has the length of tiny-gpt2, which
// it replaces. hostileTensor does the same to a tensor.
const (
	hostileName   = "\x1b]0;x\a\u202e"
	hostileTensor = "blk.0.\u202e\x1b[2J\n.weight"
)

// hostileFile is a model that loads, and whose name does things to a terminal.
func hostileFile(t *testing.T, name string, replace ...string) string {
	t.Helper()
	s, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := synth.Write(path, s, synth.Options{Type: "f32", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(data, []byte(replace[i])) || len(replace[i]) != len(replace[i+1]) {
			t.Fatalf("%q cannot be replaced by %q", replace[i], replace[i+1])
		}
		data = bytes.Replace(data, []byte(replace[i]), []byte(replace[i+1]), 1)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// harmless checks what a command printed.
func harmless(t *testing.T, what, printed string) {
	t.Helper()
	if safe := text.SafeLines(printed); safe != printed {
		t.Errorf("%s prints control characters: %q", what, printed)
	}
}

// TestHostileFiles: whatever a file holds, it is shown and does nothing.
func TestHostileFiles(t *testing.T) {
	named := hostileFile(t, "named.gguf", "tiny-gpt2", hostileName)
	tensor := hostileFile(t, "tensor.gguf", "blk.0.ffn_down.weight", hostileTensor)
	typed := hostileFile(t, "arch.gguf", "\x04\x00\x00\x00\x00\x00\x00\x00gpt2", "\x04\x00\x00\x00\x00\x00\x00\x00\x1b[1m")
	key := hostileFile(t, "key.gguf", "gpt2.context_length", "gpt2.\x1bontext_len\u202e")
	missing := filepath.Join(t.TempDir(), "no\x1b[31m\u202efile.gguf")
	for _, c := range []struct {
		name string
		code int
		args []string
		want string // is shown
	}{
		{"name", exitDone, []string{"inspect", named}, `\x1b]0;x\a\u202e`},
		{"tensor list", exitDone, []string{"inspect", "--tensors", tensor}, `blk.0.\u202e\x1b[2J\n.weight  f32`},
		{"architecture", exitDone, []string{"inspect", typed}, `\x1b[1m`},
		{"key", exitDone, []string{"inspect", key}, "context_length"},
		{"file name", exitUsage, []string{"inspect", missing}, `no\x1b[31m\u202efile.gguf`},
		{"config name", exitUsage, []string{"run", "--config", missing}, `no\x1b[31m\u202efile.gguf`},
		{"run folder", exitUsage, []string{"run", "--resume", missing}, `no\x1b[31m\u202efile.gguf`},
		{"argument", exitUsage, []string{"inspect", named, "\x1b[2J"}, `there is no \x1b[2J`},
		{"command", exitUsage, []string{"\x1b[2J"}, `\x1b[2J`},
		{"flag", exitUsage, []string{"inspect", "--\x1b[2J"}, `\x1b[2J`},
		{"plan", exitDone, []string{"run", "--dry-run", "--config", writeFile(t, "\u202ec.yaml", sweepOf("gguf:"+named))}, "named.gguf"},
		{"config value", exitUsage, []string{"run", "--dry-run", "--config", writeFile(t, "c.yaml", sweepOf(`gguf:\e[2J\u202e.gguf`))}, `\x1b[2J\u202e.gguf`},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := llmscale(c.args...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("exit code %d, want %d, and %q in:\n%s%s", code, c.code, c.want, stdout, stderr)
			}
			harmless(t, "stdout", stdout)
			harmless(t, "stderr", stderr)
		})
	}

	code, stdout, stderr := llmscale("inspect", "--json", "--tensors", tensor)
	var in inspect.Model
	if err := json.Unmarshal([]byte(stdout), &in); code != exitDone || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	harmless(t, "JSON", stdout)
	for _, tensor := range in.Tensors {
		if tensor.Name == hostileTensor {
			return
		}
	}
	t.Errorf("no tensor %q: what a program reads must be what the file holds", hostileTensor)
}

// TestHostileRunFolder: the tables, plots and report of a run folder that somebody sent are no more dangerous than
// those of one's own.
func TestHostileRunFolder(t *testing.T) {
	const name = "\x1b]0;x\a\u202e\u009b<script>alert(1)</script>|\n# x"
	folder := filepath.Join("..", "..", "analysis", "testdata", "tr121")
	dir := t.TempDir()
	quoted, err := json.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"manifest.json", "runs.jsonl"} {
		data, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{`"gpt2-5m"`, `"hf_cpu_fp32"`, `"micro"`} {
			if file == "runs.jsonl" && !bytes.Contains(data, []byte(word)) {
				t.Fatalf("no %s in %s", word, file)
			}
			data = bytes.ReplaceAll(data, []byte(word), quoted)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := llmscale("report", "--run-dir", dir, "--bootstrap", "50")
	if code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, stderr)
	}
	harmless(t, "stdout and stderr", stdout+stderr)
	out, kinds := filepath.Join(dir, "llmscale"), map[string]int{}
	err = filepath.WalkDir(out, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".png") {
			return err
		}
		kinds[filepath.Ext(path)]++
		data, err := os.ReadFile(path)
		harmless(t, path, string(data))
		if ext := filepath.Ext(path); ext == ".svg" && bytes.Contains(data, []byte("<script")) || ext == ".html" && bytes.Contains(data, []byte("<script>alert")) {
			t.Errorf("%s has a script", path)
		}
		return err
	})
	if err != nil || kinds[".svg"] == 0 || kinds[".csv"] == 0 || kinds[".json"] == 0 || kinds[".md"] == 0 || kinds[".html"] == 0 {
		t.Errorf("%v, %v", kinds, err)
	}
}
