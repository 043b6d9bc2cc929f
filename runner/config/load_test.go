package config

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLoadReadsOnce reads a config from each kind of place that bytes come from. All
// of them must be parsed and kept, a pipe's too, which cannot be read again, and
// relative model paths must start at an absolute folder.
func TestLoadReadsOnce(t *testing.T) {
	const text = "# ä\nscenarios: [{name: s, prompt: Hi}]\nbackends: [{name: b}]\nmodels: [{name: m, source: \"../my models/-m.gguf\"}]\n"
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"here", "conf igs/ä"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put("here/-c.yaml")
	put("conf igs/ä/c.yaml")
	if err := os.Symlink("../conf igs/ä", filepath.Join(root, "here/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../conf igs/ä/c.yaml", filepath.Join(root, "here/other.yaml")); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(root, "conf igs/ä/fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(root, "here"))

	open := func() *os.File {
		f, err := os.Open("link/c.yaml")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	pipe := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close() })
		go func() {
			defer w.Close()
			fmt.Fprint(w, text)
		}()
		return r
	}
	fd := func(f *os.File) string { return fmt.Sprintf("/dev/fd/%d", f.Fd()) }
	for _, c := range []struct {
		what, path string
		stdin      *os.File
		dir, name  string // of root; the default run_name
	}{
		{"a file", "-c.yaml", stdin, "here", "c"},
		{"a file through a folder's link", "link/c.yaml", stdin, "here/link", "c"},
		{"a file up from a link", "link/../ä/c.yaml", stdin, "conf igs/ä", "c"},
		{"a link to a file", "other.yaml", stdin, "here", "other"},
		{"a pipe", fd(pipe()), stdin, "here", "sweep"},
		{"a named pipe", fifo, stdin, "here", "fifo"},
		{"standard input from a pipe", Stdin, pipe(), "here", "sweep"},
		{"standard input from a file", Stdin, open(), "here", "sweep"},
		{"a file that is open already", fd(open()), stdin, "here", "sweep"},
	} {
		if c.path == fifo {
			go func() { _ = os.WriteFile(fifo, []byte(text), 0) }() // what Load says shows whether it went well
		}
		os.Stdin = c.stdin
		cfg, err := Load(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		dir := filepath.Join(root, c.dir)
		if string(cfg.Text()) != text || cfg.Dir() != dir || cfg.Models[0].Path != filepath.Join(dir, "../my models/-m.gguf") {
			t.Errorf("%s: %d bytes, folder %s, model %s; want folder %s", c.what, len(cfg.Text()), cfg.Dir(), cfg.Models[0].Path, dir)
		}
		if cfg.RunName != c.name {
			t.Errorf("%s: run_name %q, want %q", c.what, cfg.RunName, c.name)
		}
		again, err := ParseAt(cfg.File(), cfg.Dir(), cfg.Text())
		if err != nil || again.SHA256() != cfg.SHA256() || again.RunName != cfg.RunName || again.Models[0].Path != cfg.Models[0].Path {
			t.Errorf("%s: what was kept reads as something else: %+v, %v", c.what, again, err)
		}
	}
}
