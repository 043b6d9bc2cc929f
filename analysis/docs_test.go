package analysis

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated part of docs/statistics.md")

// TestDocs: the column tables of docs/statistics.md are those of the code.
func TestDocs(t *testing.T) {
	const file, mark = "../docs/statistics.md", "<!-- tables -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, body, ok := strings.Cut(string(data), mark)
	if !ok {
		t.Fatalf("%s has no line %s", file, mark)
	}
	want := "\n" + TablesMarkdown()
	if *update {
		if err := os.WriteFile(file, []byte(head+mark+want), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if body != want {
		t.Errorf("%s does not list the columns as declared; run: go test ./analysis -run Docs -update", file)
	}
}

// TestDocsWarnings: every warning that the code can give is explained.
func TestDocsWarnings(t *testing.T) {
	data, err := os.ReadFile("../docs/statistics.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range sources {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		src, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, start := range []string{`warn("`, `Warning{"`, `{"mixed_`} {
			parts := strings.Split(string(src), start)
			for _, p := range parts[1:] {
				code, _, _ := strings.Cut(p, `"`)
				if start == `{"mixed_` {
					code = "mixed_" + code
				}
				found++
				if !strings.Contains(string(data), "`"+code+"`") {
					t.Errorf("%s: warning %s is not in docs/statistics.md", e.Name(), code)
				}
			}
		}
	}
	if found < 25 {
		t.Errorf("only %d warnings found in the source", found)
	}
}
