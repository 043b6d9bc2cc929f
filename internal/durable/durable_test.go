package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWriteFile: an error of the disk is one of writing, a disk that offers no
// syncing is none; whatever happens, the old or the new content is there whole and
// nothing beside it.
func TestWriteFile(t *testing.T) {
	for _, c := range []struct {
		what         string
		folder, file error // of syncing
		want         error
	}{
		{"a whole file system", nil, nil, nil},
		{"no syncing of folders", &fs.PathError{Op: "sync", Path: "x", Err: syscall.EINVAL}, nil, nil},
		{"folders that would have to be open for writing", syscall.EBADF, nil, nil},
		{"no syncing at all", syscall.ENOSYS, syscall.ENOTSUP, nil},
		{"a broken disk", nil, syscall.EIO, syscall.EIO},
		{"a broken disk, told late", syscall.EIO, nil, syscall.EIO},
	} {
		dir := filepath.Join(t.TempDir(), "a [b] ä")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "-f")
		if err := System.WriteFile(path, []byte("old")); err != nil {
			t.Fatal(err)
		}
		d := Disk{Sync: func(f *os.File) error {
			if info, err := f.Stat(); err != nil || info.IsDir() {
				return errors.Join(err, c.folder)
			}
			return c.file
		}}
		err := d.WriteFile(path, []byte("new"))
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		want := "new"
		if c.file == syscall.EIO {
			want = "old"
		}
		entries, _ := os.ReadDir(dir)
		if data, err := os.ReadFile(path); string(data) != want || len(entries) != 1 {
			t.Errorf("%s: %q (%v), %d files", c.what, data, err, len(entries))
		}
	}
}

// TestFree: what a file system does not tell is not taken for a full disk.
func TestFree(t *testing.T) {
	for _, c := range []struct {
		disk  unix.Statfs_t
		bytes int64
		ok    bool
	}{
		{unix.Statfs_t{Bsize: 512}, 0, false}, // FUSE's answer where a program gives none
		{unix.Statfs_t{Blocks: 9, Bsize: 4096}, 0, true},
		{unix.Statfs_t{Blocks: 9, Bavail: 2, Bsize: 4096}, 8192, true},
		{unix.Statfs_t{Blocks: 9, Bavail: 2, Bsize: 1 << 20, Frsize: 4096}, 8192, true},
	} {
		if bytes, ok := free(&c.disk); ok != c.ok || ok && bytes != c.bytes {
			t.Errorf("%+v: %d %v, want %d %v", c.disk, bytes, ok, c.bytes, c.ok)
		}
	}
	if bytes, ok := Free(t.TempDir()); !ok || bytes <= 0 {
		t.Errorf("here %d %v", bytes, ok)
	}
	if _, ok := Free(filepath.Join(t.TempDir(), "none")); ok {
		t.Error("a folder that is not there has room")
	}
}

func TestIsUnfinished(t *testing.T) {
	dir := t.TempDir()
	f, err := System.Create(filepath.Join(dir, "runs.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g, err := System.Create(filepath.Join(dir, "runs.jsonl")) // of the same process
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for name, want := range map[string]bool{
		filepath.Base(f.Name()): true, filepath.Base(g.Name()): true,
		"runs.jsonl": false, ".runs.jsonl": false, ".runs.jsonl-mine": false, ".runs.jsonl-12-0": true, ".runs.jsonl.part": false, fmt.Sprintf(".other-%d-0", os.Getpid()): false,
	} {
		if IsUnfinished(name, "runs.jsonl") != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
}

// TestLock: one holder at a time, and the error says so.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var files [2]*os.File
	for i := range files {
		var err error
		if files[i], err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666); err != nil {
			t.Fatal(err)
		}
		defer files[i].Close()
	}
	if err := System.Lock(files[0]); err != nil {
		t.Fatal(err)
	}
	if err := System.Lock(files[1]); !errors.Is(err, syscall.EWOULDBLOCK) || Unsupported(err) {
		t.Errorf("locked twice: %v", err)
	}
	files[0].Close()
	if err := System.Lock(files[1]); err != nil {
		t.Errorf("after its holder has gone: %v", err)
	}
	if !Unsupported(fmt.Errorf("x: %w", syscall.ENOLCK)) || Unsupported(syscall.EIO) || Unsupported(nil) || Unsupported(errors.New("x")) {
		t.Error("Unsupported")
	}
}
