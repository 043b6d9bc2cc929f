package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"llmscale/runner/record"
)

// FileID tells one state of a file from all others without reading it: what was hashed is what is loaded if nothing of
// it has changed in between. The status time changes with every write, also of one that sets the other time back.
type FileID struct {
	Path       string `json:"path"`
	Device     uint64 `json:"device"`
	Inode      uint64 `json:"inode"`
	Size       int64  `json:"size_bytes"`
	ModifiedNS int64  `json:"modified_unix_ns"`
	ChangedNS  int64  `json:"changed_unix_ns"` // the status time, ctime
}

// openRegular opens a file to read. It does not wait for the other end of a pipe that has taken a file's place.
func openRegular(path string) (*os.File, FileID, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, FileID{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("it is no regular file")}
	}
	if err != nil {
		f.Close()
		return nil, FileID{}, err
	}
	return f, fileID(path, info), nil
}

// fileID identifies a file by what the system tells of it while it is open.
func fileID(path string, info fs.FileInfo) FileID {
	st := info.Sys().(*syscall.Stat_t)
	return FileID{path, uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
}

// identifyAll identifies the files of a model; its error is a *Failure.
func identifyAll(paths []string) ([]FileID, error) {
	out := make([]FileID, len(paths))
	for i, path := range paths {
		f, id, err := openRegular(path)
		if err != nil {
			return nil, fileFailure(path, err)
		}
		f.Close()
		out[i] = id
	}
	return out, nil
}

// pathsOf lists the files' paths.
func pathsOf(files []FileID) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = f.Path
	}
	return out
}

// differs says what happened to a file since it was was, "" if nothing did.
func (was FileID) differs(now FileID) string {
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

// CheckFiles returns a *Failure unless the files that are to be loaded, or were just now, are those that were hashed.
func CheckFiles(hashed []FileID) error { return checkFiles(hashed, "hashed") }

// checkFiles says with since what was done to the files when they were what they were.
func checkFiles(files []FileID, since string) error {
	for _, was := range files {
		f, now, err := openRegular(was.Path)
		if err != nil {
			return fileFailure(was.Path, err)
		}
		f.Close()
		if what := was.differs(now); what != "" {
			return changed(was.Path, what, since)
		}
	}
	return nil
}

// LoadChecked loads a model of which the files are those that the plan has hashed, before the load and after it.
func LoadChecked(b Backend, spec LoadSpec, progress func(share float64)) (LoadInfo, error) {
	if err := CheckFiles(spec.Files); err != nil {
		return LoadInfo{}, err
	}
	info, err := b.Load(spec, progress)
	// First, since a file that was changed meanwhile explains whatever else went wrong.
	if changed := CheckFiles(spec.Files); changed != nil {
		f := record.AsFailure(changed)
		if err != nil {
			f.Stderr = record.AsFailure(err).Stderr
		}
		return LoadInfo{}, errors.Join(f, b.Close())
	}
	return info, err
}

// failure gives an error of the job's worker a status. Of a worker that crashed it says whether the model's files have
// changed: a mapped file that is cut ends whoever reads it.
func (j *Job) failure(err error) *record.Failure {
	f := record.AsFailure(err)
	if f.Status == record.StatusCrashed {
		if changed := CheckFiles(j.Load.Files); changed != nil {
			f.Reason += "; " + record.AsFailure(changed).Reason
		}
	}
	return f
}

// hashed is the content of a model's files at one moment.
type hashed struct {
	sum   string // SHA-256 of their contents, one after another
	files []FileID
}

// now returns the same content with the identity that its files have by now. A hard link, other permissions, a copy in
// a file's place and a file system whose inodes have no lasting numbers (FUSE) change the one and not the other: then
// the files are read again. The error is a *Failure that says what else has become of them.
func (h hashed) now(progress func(what string, doneBytes, totalBytes int64)) (hashed, error) {
	changed := CheckFiles(h.files)
	if changed == nil {
		return h, nil
	}
	for _, was := range h.files {
		if st, err := os.Stat(was.Path); err != nil || st.Size() != was.Size {
			return hashed{}, changed // for which nothing need be read
		}
	}
	if again, err := readAll(pathsOf(h.files), progress); err == nil && again.sum == h.sum {
		return again, nil
	}
	return hashed{}, changed
}

// readAll hashes files; progress may be nil.
func readAll(paths []string, progress func(what string, doneBytes, totalBytes int64)) (hashed, error) {
	files, err := identifyAll(paths)
	if err != nil {
		return hashed{}, err
	}
	digest := sha256.New()
	h := hashed{files: files}
	if err := h.read(digest, "hashing", progress); err != nil {
		return hashed{}, err
	}
	h.sum = hex.EncodeToString(digest.Sum(nil))
	return h, CheckFiles(files)
}

// read copies the files to w, after which the page cache has them; doing says what for.
func (h hashed) read(w io.Writer, doing string, progress func(what string, doneBytes, totalBytes int64)) error {
	total, done := int64(0), int64(0)
	for _, f := range h.files {
		total += f.Size
	}
	for _, f := range h.files {
		var report func(read int64)
		if progress != nil {
			before := done
			report = func(read int64) { progress(doing+" "+filepath.Base(f.Path), before+read, total) }
		}
		if err := f.copyTo(w, report); err != nil {
			return err
		}
		done += f.Size
	}
	return nil
}

// copyTo reads a file that must still be what it was when it was identified. Its error is a *Failure, or w's.
func (was FileID) copyTo(w io.Writer, report func(read int64)) error {
	f, now, err := openRegular(was.Path)
	if err != nil {
		return fileFailure(was.Path, err)
	}
	defer f.Close()
	if what := was.differs(now); what != "" {
		return changed(was.Path, what, "described")
	}
	// The wrapping keeps io.Discard from bringing a small buffer of its own.
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, &countingReader{f, 0, report}, make([]byte, 1<<20)); err != nil {
		return fileFailure(was.Path, err)
	}
	return nil
}

type countingReader struct {
	r      io.Reader
	done   int64
	report func(done int64) // may be nil
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.done += int64(n)
	if c.report != nil {
		c.report(c.done)
	}
	return n, err
}
