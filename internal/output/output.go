// Package output says, before work that takes long, why a file cannot be written where someone wants it.
package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"llmscale/internal/durable"
	"llmscale/internal/text"
)

// Check refuses a path at which no file of size bytes can come into being by being written beside it under another
// name and moved there, which would put a file in the place of whatever has the name: of a device or pipe too, so
// that those are refused. replace allows a file that is there to be replaced. Folders are not made: a misspelt path
// would be a new folder full of models.
func Check(path string, size int64, replace bool) error {
	if path == "" || strings.HasSuffix(path, "/") {
		return fmt.Errorf("%q names no file", path)
	}
	at, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, unix.ENOTDIR): // told below
	case err != nil:
		return bare(err)
	case at.Mode().Type() == fs.ModeSymlink:
		target, err := os.Readlink(path)
		if err != nil {
			return bare(err)
		}
		return fmt.Errorf("%s is a symbolic link to %s: name the file itself", path, target)
	case at.IsDir():
		return fmt.Errorf("%s is a folder: name a file in it", path)
	case !at.Mode().IsRegular():
		return fmt.Errorf("%s is %s: name a file, which is written whole before it gets its name", path, kind(at.Mode()))
	case !replace:
		return fmt.Errorf("%s exists: name another file, or replace it with --force", path)
	}
	dir := filepath.Dir(path)
	switch parent, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: make it first", dir)
	case err != nil:
		return bare(err)
	case !parent.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("no file can be written in the folder %s: %w", dir, err)
	}
	if free, ok := durable.Free(dir); ok && free < size { // where the system does not say, writing will tell
		return fmt.Errorf("%s would be written, the disk of the folder %s has %s free", text.Size(size), dir, text.Size(free))
	}
	return nil
}

// bare is a file system's error without the name of the system call.
func bare(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	return err
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
