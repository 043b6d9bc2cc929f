package runs

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// RecordsFile is where a run folder keeps its records.
const RecordsFile = "runs.jsonl"

// Packed ends the name of a file that Open unpacks.
const Packed = ".gz"

// File is a file of a run folder that is being read.
type File struct {
	io.Reader
	Size int64 // bytes on the disk
	file *os.File
}

// Open opens a file of a run folder, or the same packed by gzip, as name.gz, where
// that alone is there.
func Open(dir, name string) (*File, error) {
	path := filepath.Join(dir, name)
	f, err := os.Open(path)
	packed := errors.Is(err, fs.ErrNotExist)
	if packed {
		if f2, err2 := os.Open(path + Packed); err2 == nil || !errors.Is(err2, fs.ErrNotExist) {
			f, err = f2, err2
		}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	out := &File{Reader: f, Size: info.Size(), file: f}
	if packed {
		if out.Reader, err = gzip.NewReader(f); err != nil {
			return nil, errors.Join(fmt.Errorf("%s%s: %w", path, Packed, err), f.Close())
		}
	}
	return out, nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
