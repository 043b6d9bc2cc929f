package output

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(in("file"), []byte("kept"), 0o666))
	must(os.Mkdir(in("folder"), 0o777))
	must(os.Symlink("file", in("link")))
	must(os.Symlink("nowhere", in("dangling")))
	must(unix.Mkfifo(in("pipe"), 0o666))
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(err)
	defer unix.Close(socket)
	must(unix.Bind(socket, &unix.SockaddrUnix{Name: in("socket")}))
	for _, c := range []struct {
		path    string
		size    int64
		replace bool
		want    string // "": fine
	}{
		{in("new"), 1, false, ""},
		{in("new"), 1, true, ""},
		{in("file"), 1, true, ""},
		{in("file"), 1, false, "exists: name another file, or replace it with --force"},
		{in("file"), 1 << 60, true, "1 EiB would be written, the disk of the folder"},
		{in("folder"), 1, true, "is a folder: name a file in it"},
		{in("folder") + "/", 1, true, "names no file"},
		{"", 1, true, "names no file"},
		{in("link"), 1, true, "is a symbolic link to file"},
		{in("dangling"), 1, false, "is a symbolic link to nowhere"},
		{in("pipe"), 1, true, "is a pipe"},
		{in("socket"), 1, true, "is a socket"},
		{"/dev/full", 1, true, "is a device"},
		{in("missing/new"), 1, true, "there is no folder " + in("missing")},
		{in("missing/below/new"), 1, true, "there is no folder " + in("missing/below")},
		{in("file/new"), 1, true, in("file") + " is not a directory"},
		{in("file/below/new"), 1, true, "not a directory"},
		{in(strings.Repeat("n", 300)), 1, true, "file name too long"},
	} {
		err := Check(c.path, c.size, c.replace)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, replace %v: %v; want %q", c.path, c.replace, err, c.want)
		}
	}
	if data, err := os.ReadFile(in("file")); err != nil || string(data) != "kept" {
		t.Errorf("a check changed the file: %q, %v", data, err)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root may write everywhere, but not where the file system is read-only.
		if err := Check("/sys/new", 0, false); err == nil {
			t.Skip("/sys is writable here")
		} else if !strings.Contains(err.Error(), "no file can be written in the folder /sys") {
			t.Error(err)
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := Check(filepath.Join(dir, "new"), 0, false); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Error(err)
	}
}
