// Package files tells whether files are still what they were when they were hashed: models', and programs'.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"llmscale/runner/record"
)

// ID tells one state of a file from all others without reading it: what was hashed is what is loaded if nothing of
// it has changed in between. The status time changes with every write, also of one that sets the other time back.
type ID struct {
	Path       string `json:"path"`
	Device     uint64 `json:"device"`
	Inode      uint64 `json:"inode"`
	Size       int64  `json:"size_bytes"`
	ModifiedNS int64  `json:"modified_unix_ns"`
	ChangedNS  int64  `json:"changed_unix_ns"` // the status time, ctime
}

// Open opens a file to read. It does not wait for the other end of a pipe that has taken a file's place.
func Open(path string) (*os.File, ID, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, ID{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no regular file")}
	}
	if err != nil {
		f.Close()
		return nil, ID{}, err
	}
	return f, Identify(path, info), nil
}

// Identify identifies a file by what the system tells of it while it is open.
func Identify(path string, info fs.FileInfo) ID {
	st := info.Sys().(*syscall.Stat_t)
	return ID{path, uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
}

// identifyAll identifies the files of a model; its error is a *record.Failure.
func identifyAll(paths []string) ([]ID, error) {
	out := make([]ID, len(paths))
	for i, path := range paths {
		f, id, err := Open(path)
		if err != nil {
			return nil, fileFailure(path, err)
		}
		f.Close()
		out[i] = id
	}
	return out, nil
}

// Paths lists the files' paths.
func Paths(files []ID) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = f.Path
	}
	return out
}

// Differs says what happened to a file since it was was, "" if nothing did.
func (was ID) Differs(now ID) string {
	at := func(ns int64) string { return time.Unix(0, ns).Format("2006-01-02 15:04:05.000") }
	switch {
	case now.Device != was.Device || now.Inode != was.Inode:
		return fmt.Sprintf("was replaced: another file of %d bytes has its name, it had %d", now.Size, was.Size)
	case now.Size < was.Size:
		return fmt.Sprintf("was truncated: it has %d bytes, it had %d", now.Size, was.Size)
	case now.Size > was.Size:
		return fmt.Sprintf("was written to: it has %d bytes, it had %d", now.Size, was.Size)
	case now.ModifiedNS != was.ModifiedNS:
		return "was written to at " + at(now.ModifiedNS)
	case now.ChangedNS != was.ChangedNS:
		return fmt.Sprintf("was changed at %s, if only its name, links or permissions", at(now.ChangedNS))
	}
	return ""
}

func changed(path, what, since string) *record.Failure {
	return record.Failf(record.StatusError, "%s %s, after it was %s: let nothing change a model's files while they are measured, and measure it again", path, what, since)
}

// fileFailure is a file that is gone or cannot be read, in words.
func fileFailure(path string, err error) *record.Failure {
	if errors.Is(err, fs.ErrNotExist) {
		return record.Failf(record.StatusError, "%s is gone: it was there when the run was planned", path)
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return record.Failf(record.StatusError, "%s cannot be read any more: %v", path, err)
}

// Check returns a *record.Failure unless the files that are to be loaded, or were just now, are those that were hashed.
func Check(hashed []ID) error { return CheckSince(hashed, "hashed") }

// CheckSince says with since what was done to the files when they were what they were.
func CheckSince(files []ID, since string) error {
	for _, was := range files {
		f, now, err := Open(was.Path)
		if err != nil {
			return fileFailure(was.Path, err)
		}
		f.Close()
		if what := was.Differs(now); what != "" {
			return changed(was.Path, what, since)
		}
	}
	return nil
}

// Same returns a *record.Failure unless files are what they were; since says what was done to them then.
func Same(was, now []ID, since string) error {
	for i := range was {
		if what := was[i].Differs(now[i]); what != "" {
			return changed(was[i].Path, what, since)
		}
	}
	return nil
}

// copyTo reads a file that must still be what it was when it was identified. Its error is a *record.Failure, or w's.
func (was ID) copyTo(w io.Writer, report func(read int64)) error {
	f, now, err := Open(was.Path)
	if err != nil {
		return fileFailure(was.Path, err)
	}
	defer f.Close()
	if what := was.Differs(now); what != "" {
		return changed(was.Path, what, "described")
	}
	// The wrapping keeps io.Discard from bringing a small buffer of its own.
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, &countingReader{f, 0, report}, make([]byte, 1<<20)); err != nil {
		return fileFailure(was.Path, err)
	}
	return nil
}
