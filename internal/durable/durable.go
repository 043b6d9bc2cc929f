// Package durable brings files to the disk, on file systems that can be asked to and
// on those that cannot (NFS, FUSE, 9p and others offer a part of the calls).
package durable

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Disk is what is asked of a file system. Tests put faults in its place.
type Disk struct {
	Lock func(*os.File) error // for this process alone, without waiting; ends with the file's closing
	Sync func(*os.File) error // of a file or a folder
}

// System is the one that the program runs on.
var System = Disk{
	Lock: func(f *os.File) error { return flock(f, syscall.LOCK_EX|syscall.LOCK_NB) },
	Sync: (*os.File).Sync,
}

// Wait is System.Lock that waits for whoever has the lock.
func Wait(f *os.File) error { return flock(f, syscall.LOCK_EX) }

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

// Unsupported tells whether an error of Lock or Sync says that the file system does
// not offer the call, and not that the call failed. EBADF is what some say of a folder,
// which cannot be opened for writing.
func Unsupported(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && slices.Contains([]syscall.Errno{syscall.EBADF, syscall.EINVAL, syscall.ENOTSUP, syscall.ENOSYS, syscall.ENOLCK}, no)
}

// Free is how many bytes a file in the folder may take; ok is false where the system does
// not say, as some network file systems do not.
func Free(dir string) (bytes int64, ok bool) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, false
	}
	return free(&disk)
}

func free(disk *unix.Statfs_t) (bytes int64, ok bool) {
	return int64(disk.Bavail) * cmp.Or(disk.Frsize, disk.Bsize), disk.Blocks > 0
}

// SyncDir brings the names in a folder to the disk.
func (d Disk) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return d.Sync(f)
}

// WriteFile replaces a file as a whole: readers and crashes see the old or the new
// one. A file system that cannot be asked to bring it to the disk is left to do so
// in its own time.
func (d Disk) WriteFile(path string, data []byte) error {
	f, err := create(path)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = needed(d.Sync(f))
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) // of no use; the first error is what counts
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := needed(d.SyncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("writing %s: its folder: %w", path, err)
	}
	return nil
}

// needed leaves out the errors that are no reason to fail.
func needed(err error) error {
	if Unsupported(err) {
		return nil
	}
	return err
}

// create opens a new file beside path. os.CreateTemp would make it private to its
// owner, and not every file system lets that be changed.
func create(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	for i := 0; ; i++ {
		f, err := os.OpenFile(fmt.Sprintf("%s.%s-%d-%d", dir, base, os.Getpid(), i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) || i >= 1000 {
			return f, err
		}
	}
}

// IsUnfinished tells whether name is that of a file that a killed WriteFile left
// beside the file called base.
func IsUnfinished(name, base string) bool {
	rest, ok := strings.CutPrefix(name, "."+base+"-")
	return ok && strings.Trim(rest, "-0123456789") == ""
}
