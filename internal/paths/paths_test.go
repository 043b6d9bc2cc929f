package paths

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// TestAbsoluteIsTheSystemsReading: the path names the same file as before it was
// made absolute, through links, up from them, and where nothing is there yet.
func TestAbsoluteIsTheSystemsReading(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"here", "there/deep"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../there/deep", filepath.Join(root, "here", "link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(root, "here"))
	for path, want := range map[string]string{
		"":              "here",
		".":             "here",
		"-a b/ä":        "here/-a b/ä",
		"x/":            "here/x",
		"link/x":        "here/link/x", // as it was given: only .. needs to know where a link leads
		"link/..":       "there",
		"link/../x":     "there/x",
		"../here/../x":  "x",
		"link/../../x":  "x",
		"absent/../new": "here/new",
	} {
		got, err := Absolute(path)
		if want = filepath.Join(root, want); err != nil || got != want {
			t.Errorf("%q: %s (%v), want %s", path, got, err, want)
		}
	}
	for path, want := range map[string]string{"a/../b/": "b", "../here/x": "../here/x", "link/../x": filepath.Join(root, "there/x")} {
		if got, err := Clean(path); err != nil || got != want {
			t.Errorf("clean %q: %s (%v), want %s", path, got, err, want)
		}
	}
	if got, err := Absolute(filepath.Join(root, "here/link") + "/../x"); err != nil || got != filepath.Join(root, "there/x") {
		t.Errorf("%s (%v)", got, err)
	}
}

// TestAbsoluteInALinkedFolder: a shell remembers the link by which it came, the system
// goes up from the folder itself.
func TestAbsoluteInALinkedFolder(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "there/deep"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("there/deep", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "there/x"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(root, "link"))
	if _, err := os.Stat("../x"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"../x": "there/x", "x": "link/x", "../new/x": "there/new/x"} {
		if got, err := Absolute(path); err != nil || got != filepath.Join(root, want) {
			t.Errorf("%s: %s (%v), want %s", path, got, err, want)
		}
	}
}

func TestTell(t *testing.T) {
	for _, want := range []map[string]string{
		{},
		{"/m/a.gguf": "a.gguf", "/m/b.gguf": "b.gguf"},
		{"/m/v1/a.gguf": "v1/a.gguf", "/m/v2/a.gguf": "v2/a.gguf", "/m/v2/b.gguf": "b.gguf"},
		{"/x/m/a.gguf": "x/m/a.gguf", "/y/m/a.gguf": "y/m/a.gguf", "/y/n/a.gguf": "n/a.gguf"},
		{"/a.gguf": "/a.gguf", "/m/a.gguf": "/m/a.gguf", "/m/m/a.gguf": "m/m/a.gguf"},
		{"/m/a.gguf": "a.gguf", "/m/xa.gguf": "xa.gguf"}, // an end is made of whole names
	} {
		var paths []string
		for p := range want {
			paths = append(paths, p, p)
		}
		if got := Tell(paths); !maps.Equal(got, want) {
			t.Errorf("%v: %v, want %v", paths, got, want)
		}
	}
}
