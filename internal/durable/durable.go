// Package durable brings files to the disk, on file systems that can be asked to and
// on those that cannot (NFS, FUSE, 9p and others offer a part of the calls).
package durable

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
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

// Quick leaves it to the system when to bring files to the disk: of those that can be made again.
var Quick = Disk{Lock: System.Lock, Sync: func(*os.File) error { return nil }}

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

// File is one that takes its path's place as a whole, once Commit is called: until then readers and crashes see what was
// there before. (google/renameio cannot take its place: it fails where a file system cannot be asked to sync, leaves out
// the folder's names, and its unfinished files tell nobody whose they are.)
type File struct {
	*os.File // beside the path, under a name that IsUnfinished knows
	path     string
	disk     Disk
}

// Create begins a file. The caller must call Commit or Discard.
func (d Disk) Create(path string) (*File, error) {
	dir, base := filepath.Split(path)
	if base == "" {
		return nil, fmt.Errorf("%q names no file", path)
	}
	for i := 0; ; i++ {
		// os.CreateTemp would make it private to its owner, and not every file system lets that be changed.
		f, err := os.OpenFile(fmt.Sprintf("%s.%s.%d-%d.part", dir, base, os.Getpid(), i), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		switch {
		case err == nil:
			return &File{f, path, d}, nil
		case !errors.Is(err, fs.ErrExist) || i >= 1000:
			return nil, err
		}
	}
}

// Commit brings the file to the disk and gives it its name. A file system that cannot be asked to is left to do so in its
// own time. info is nil where the system told nothing of the file. An error of the file leaves what had the name before;
// one of its folder says that the new name may not survive a power cut.
func (f *File) Commit() (info fs.FileInfo, err error) {
	err = needed(f.disk.Sync(f.File))
	info, serr := f.Stat()
	if serr != nil {
		info = nil
	}
	if cerr := f.File.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		os.Remove(f.Name()) // of no use; the first error is what counts
		return nil, err
	}
	if err := needed(f.disk.SyncDir(filepath.Dir(f.path))); err != nil {
		return info, fmt.Errorf("its folder: %w", err)
	}
	return info, nil
}

// Discard removes what was written.
func (f *File) Discard() error {
	return errors.Join(f.File.Close(), os.Remove(f.Name()))
}

// WriteFile writes a file whole.
func (d Disk) WriteFile(path string, data []byte) error {
	return d.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write makes a file of what fill writes.
func (d Disk) Write(path string, fill func(io.Writer) error) error {
	f, err := d.Create(path)
	if err == nil {
		w := bufio.NewWriterSize(f, 1<<16)
		if err = cmp.Or(fill(w), w.Flush()); err == nil {
			_, err = f.Commit()
		} else {
			_ = f.Discard() // the first error is what counts
		}
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
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

// IsUnfinished tells whether name is that of a file that was begun to take the place of the one called base. Older
// versions called them otherwise.
func IsUnfinished(name, base string) bool {
	rest, ok := strings.CutPrefix(name, "."+base)
	rest = strings.TrimSuffix(rest, ".part")
	return ok && rest != "" && strings.Trim(rest, ".-0123456789") == ""
}
