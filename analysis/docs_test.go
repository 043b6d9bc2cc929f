package analysis

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "rewrite docs/tables.md")

// TestDocs: docs/tables.md lists the tables as the code declares them.
func TestDocs(t *testing.T) {
	const file = "../docs/tables.md"
	want, err := TablesMarkdown()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != want {
		t.Errorf("%s does not list the tables as declared (%v); run: go test ./analysis -run Docs -update", file, err)
	}
}

// TestDocsWarnings: every warning that the code can give is explained.
func TestDocsWarnings(t *testing.T) {
	doc, err := os.ReadFile("../docs/warnings.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`(?:[wW]arn\(|Warning\{|Doubt\(|Code: |\{)"([a-z]+_[a-z_]+)", `)
	found := map[string]bool{}
	err = filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if e.IsDir() && strings.HasSuffix(path, "test") {
			return fs.SkipDir // what tests make up
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range code.FindAllStringSubmatch(string(src), -1) {
			if strings.HasPrefix(m[0], "{") && !strings.HasPrefix(m[1], "mixed_") {
				continue // not a code
			}
			found[m[1]] = true
			if !strings.Contains(string(doc), "`"+m[1]+"`") {
				t.Errorf("%s: warning %s is not in docs/warnings.md", path, m[1])
			}
		}
		return err
	})
	if err != nil || len(found) < 40 {
		t.Errorf("only %d warnings found in the source: %v", len(found), err)
	}
}

// TestDocsLinks: every page is in the index of docs/, and links within the
// repository lead somewhere.
func TestDocsLinks(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link, heading := regexp.MustCompile(`\]\(([^)\s:]+)\)`), regexp.MustCompile(`(?m)^#+ (.*)$`)
	text, anchors := map[string]string{}, map[string]bool{}
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text[page] = string(data)
		for _, h := range heading.FindAllStringSubmatch(text[page], -1) {
			anchors[page+"#"+anchorOf(h[1])] = true
		}
	}
	linked := map[string]bool{"../docs/README.md": true}
	for page, s := range text {
		for _, m := range link.FindAllStringSubmatch(s, -1) {
			to, anchor, within := strings.Cut(m[1], "#")
			target := page
			if to != "" {
				target = filepath.Join(filepath.Dir(page), to)
			}
			if _, err := os.Stat(target); err != nil || within && text[target] != "" && !anchors[target+"#"+anchor] {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
			linked[target] = linked[target] || page == "../docs/README.md"
		}
	}
	for _, page := range pages {
		if !linked[page] {
			t.Errorf("%s is not in docs/README.md", page)
		}
	}
}

// anchorOf is the anchor that GitHub gives a heading.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// TestDocsCommands: the tests and benchmarks that pages name are in the package that
// they name.
func TestDocsCommands(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	command, name := regexp.MustCompile("go test [^`\n&]*"), regexp.MustCompile(`-(run|bench) '?([\w|]+)`)
	dir := regexp.MustCompile(` \./([\w/]+)`)
	found := 0
	for _, page := range append(pages, "../README.md", "../CONTRIBUTING.md") {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range command.FindAllString(string(data), -1) {
			in := dir.FindStringSubmatch(c)
			if in == nil {
				continue
			}
			for _, n := range name.FindAllStringSubmatch(c, -1) {
				found++
				if !declaresTest(t, filepath.Join("..", in[1]), n[2]) {
					t.Errorf("%s: %s: that package has no such test", page, c)
				}
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d commands found", found)
	}
}

// declaresTest is whether the tests of a folder declare one that -run or -bench finds.
func declaresTest(t *testing.T, dir, pattern string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, alternative := range strings.Split(pattern, "|") {
		declared := regexp.MustCompile(`(?m)^func (Test|Benchmark)(\w*` + strings.TrimPrefix(alternative, "Test") + `)`)
		found := slices.ContainsFunc(files, func(file string) bool {
			src, err := os.ReadFile(file)
			return err == nil && declared.Match(src)
		})
		if !found {
			return false
		}
	}
	return true
}
