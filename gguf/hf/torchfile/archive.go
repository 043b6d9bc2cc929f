package torchfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	maxPickle    = 4 << 20 // bytes of data.pkl
	maxDirectory = 2 << 20 // bytes read to open the archive
)

// legacyMagic begins what torch.save wrote before PyTorch 1.6: a pickle of the number 0x1950a86a20f9469cfc6c.
var legacyMagic = []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e")

// archive is the zip file around a state dict.
type archive struct {
	path    string
	r       io.ReaderAt
	size    int64
	prefix  string // of every entry's name, the folder that torch.save makes
	entries map[string]*zip.File
	places  map[string]place // of storages already looked up
}

// place is where an entry's bytes lie in the file.
type place struct{ offset, size int64 }

func (a *archive) fail(entry, want, format string, args ...any) error {
	return &FormatError{a.path, entry, -1, "", fmt.Sprintf(format, args...), want}
}

// meter fails once more than left bytes have been read. The zip reader makes an object of some hundred bytes from
// each entry of the directory, however many there are.
type meter struct {
	r    io.ReaderAt
	left int64
}

var errDirectory = errors.New("directory too large")

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if m.left -= int64(len(p)); m.left < 0 {
		return 0, errDirectory
	}
	return m.r.ReadAt(p, off)
}

func openArchive(path string, r io.ReaderAt, size int64) (*archive, error) {
	a := &archive{path: path, r: r, size: size, entries: map[string]*zip.File{}, places: map[string]place{}}
	head := make([]byte, min(size, 16))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return nil, fmt.Errorf("torchfile: %s: reading its beginning: %w", path, err)
	}
	switch {
	case bytes.HasPrefix(head, legacyMagic):
		return nil, a.fail("", "", "the file has the format of PyTorch before 1.6: load it with torch.load in a newer PyTorch and save it again with torch.save, or as safetensors")
	case bytes.HasPrefix(head, []byte("version https://")):
		return nil, a.fail("", "the weights themselves: fetch them with `git lfs pull`", "the file is a Git LFS pointer")
	case !bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return nil, a.fail("", "a zip archive as torch.save writes it", "the file begins with %q", head)
	}
	m := &meter{r, maxDirectory}
	z, err := zip.NewReader(m, size)
	switch {
	case errors.Is(err, errDirectory):
		return nil, a.fail("", fmt.Sprintf("at most %d bytes", maxDirectory), "the archive's directory is too large")
	case errors.Is(err, zip.ErrFormat), errors.Is(err, zip.ErrAlgorithm), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, a.fail("", "the whole archive", "the archive has no valid directory at its end: is the file whole?")
	case err != nil:
		return nil, fmt.Errorf("torchfile: %s: reading the archive's directory: %w", path, err)
	}
	m.left = math.MaxInt64 // entries themselves are bounded one by one
	return a, a.index(z)
}

// index finds the folder that holds data.pkl and checks what stands beside it.
func (a *archive) index(z *zip.Reader) error {
	for _, f := range z.File {
		if a.entries[f.Name] != nil {
			return a.fail(f.Name, "", "the archive has two entries of this name")
		}
		a.entries[f.Name] = f
		if dir, ok := strings.CutSuffix(f.Name, "/data.pkl"); ok && !strings.Contains(dir, "/") {
			if a.prefix != "" {
				return a.fail(f.Name, "one", "the archive has two pickles, the other in %s", a.prefix)
			}
			a.prefix = dir + "/"
		}
	}
	if a.prefix == "" || a.prefix == "/" {
		return a.fail("", "a file written by torch.save", "the archive has no entry FOLDER/data.pkl")
	}
	if a.entries[a.prefix+"constants.pkl"] != nil {
		return a.fail(a.prefix+"constants.pkl", "a state dict", "the file is a TorchScript program")
	}
	if name := a.prefix + "byteorder"; a.entries[name] != nil {
		order, err := a.bytes(name, 16)
		if err != nil {
			return err
		}
		if string(order) != "little" {
			return a.fail(name, `"little"`, "the byte order is %q", order)
		}
	}
	return nil
}

func (a *archive) pickle() ([]byte, error) { return a.bytes(a.prefix+"data.pkl", maxPickle) }

// find returns where an entry's bytes lie. torch.save compresses nothing, so what is compressed is refused, and
// nothing can unfold to more than it takes in the file.
func (a *archive) find(name string) (place, error) {
	if p, ok := a.places[name]; ok {
		return p, nil
	}
	f := a.entries[name]
	if f == nil {
		return place{}, a.fail(name, "the whole archive", "the archive has no such entry")
	}
	if f.Method != zip.Store || f.Flags&1 != 0 || f.CompressedSize64 != f.UncompressedSize64 {
		return place{}, a.fail(name, "one that is stored, as torch.save does", "the entry is compressed or encrypted")
	}
	offset, err := f.DataOffset()
	if err != nil {
		return place{}, a.fail(name, "the whole archive", "the entry's header cannot be read: %v", err)
	}
	if offset < 0 || offset > a.size || f.UncompressedSize64 > uint64(a.size-offset) {
		return place{}, a.fail(name, "the whole archive", "the entry's %d bytes from byte %d on end behind the file, which has %d", f.UncompressedSize64, offset, a.size)
	}
	p := place{offset, int64(f.UncompressedSize64)}
	a.places[name] = p
	return p, nil
}

// bytes reads a small entry.
func (a *archive) bytes(name string, limit int64) ([]byte, error) {
	p, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if p.size > limit {
		return nil, a.fail(name, fmt.Sprintf("at most %d", limit), "the entry has %d bytes", p.size)
	}
	b := make([]byte, p.size)
	if _, err := io.ReadFull(io.NewSectionReader(a.r, p.offset, p.size), b); err != nil {
		return nil, fmt.Errorf("torchfile: %s: reading %s: %w", a.path, name, err)
	}
	return b, nil
}
