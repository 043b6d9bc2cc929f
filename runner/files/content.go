package files

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Content is the content of files at one moment.
type Content struct {
	SHA256 string // of their contents, one after another
	Files  []ID
}

// Now returns the same content with the identity that its files have by now. A hard link, other permissions, a copy in
// a file's place and a file system whose inodes have no lasting numbers (FUSE) change the one and not the other: then
// the files are read again. The error is a *record.Failure that says what else has become of them.
func (h Content) Now(progress func(what string, doneBytes, totalBytes int64)) (Content, error) {
	changed := Check(h.Files)
	if changed == nil {
		return h, nil
	}
	for _, was := range h.Files {
		if st, err := os.Stat(was.Path); err != nil || st.Size() != was.Size {
			return Content{}, changed // for which nothing need be read
		}
	}
	if again, err := Hash(Paths(h.Files), progress); err == nil && again.SHA256 == h.SHA256 {
		return again, nil
	}
	return Content{}, changed
}

// Hash hashes files; progress may be nil.
func Hash(paths []string, progress func(what string, doneBytes, totalBytes int64)) (Content, error) {
	files, err := identifyAll(paths)
	if err != nil {
		return Content{}, err
	}
	digest := sha256.New()
	h := Content{Files: files}
	if err := h.CopyTo(digest, "hashing", progress); err != nil {
		return Content{}, err
	}
	h.SHA256 = hex.EncodeToString(digest.Sum(nil))
	return h, Check(files)
}

// CopyTo copies the files to w, after which the page cache has them; doing says what for.
func (h Content) CopyTo(w io.Writer, doing string, progress func(what string, doneBytes, totalBytes int64)) error {
	total, done := int64(0), int64(0)
	for _, f := range h.Files {
		total += f.Size
	}
	for _, f := range h.Files {
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

// Settled is how long a file must have stayed as it is before what is read of it is kept: within one tick of a file
// system's clock, 2 s on the coarsest, a file can change once more and look the same.
const Settled = 2 * time.Second

// SettledBefore tells whether no file has changed for a while before the time.
func (h Content) SettledBefore(t time.Time) bool {
	return !slices.ContainsFunc(h.Files, func(f ID) bool {
		return max(f.ModifiedNS, f.ChangedNS) > t.Add(-Settled).UnixNano()
	})
}
