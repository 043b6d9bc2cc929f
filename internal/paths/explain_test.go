package paths

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

func TestExplain(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("folder", 0o777), os.WriteFile("file", nil, 0o666), os.Symlink("nowhere", "link")); err != nil {
		t.Fatal(err)
	}
	open := func(path string) error {
		_, err := os.ReadFile(path)
		return fmt.Errorf("gguf: %w", err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{open("x.gguf"), "gguf: there is no x.gguf"},
		{open("folder/x"), "gguf: there is no folder/x"},
		{open("no/where/x"), "gguf: there is no no/where/x: no folder no/where"},
		{open("link"), "gguf: link is a link to nowhere, which is not there"},
		{open("folder"), "gguf: folder is a folder; want a file"},
		{open("file/a/b"), "gguf: file is a file, and no folder: there can be no file/a/b"},
		{os.MkdirAll("file", 0o777), "file is a file; want a folder"},
		{os.MkdirAll("file/x", 0o777), "file is a file; want a folder"},
		{fmt.Errorf("run: %w", &fs.PathError{Op: "open", Path: "a", Err: syscall.EACCES}), "run: this user has no right to a, or to a folder on the way there (permission denied)"},
		{&fs.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}, "write a: no space left on device"},
		{errors.New("gguf: not a file"), "gguf: not a file"},
		{errors.Join(errors.New("first"), open("x"), open("folder")), "first\ngguf: there is no x\ngguf: folder is a folder; want a file"},
	} {
		if got := Explain(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
