package paths

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Explain is an error's text in which what the system says of a path ("stat a/b: no such file or directory") says what
// is wrong with that path: which folder is missing, where a link leads, what stands in the way.
func Explain(err error) string {
	said := err.Error()
	for _, e := range ofPaths(err) {
		if why := explain(e); why != "" {
			said = strings.Replace(said, e.Error(), why, 1)
		}
	}
	return said
}

// ofPaths finds all errors of a path among those that err wraps or joins.
func ofPaths(err error) []*fs.PathError {
	switch e := err.(type) {
	case *fs.PathError:
		return []*fs.PathError{e}
	case interface{ Unwrap() error }:
		return ofPaths(e.Unwrap())
	case interface{ Unwrap() []error }:
		var out []*fs.PathError
		for _, one := range e.Unwrap() {
			out = append(out, ofPaths(one)...)
		}
		return out
	}
	return nil
}

// explain words a system error of a path; "" for those whose own words will do.
func explain(e *fs.PathError) string {
	switch {
	case errors.Is(e, fs.ErrNotExist):
		return missing(e.Path)
	case errors.Is(e, fs.ErrPermission):
		return fmt.Sprintf("this user has no right to %s, or to a folder on the way there (%v)", e.Path, e.Err)
	case errors.Is(e, syscall.EISDIR):
		return e.Path + " is a folder; want a file"
	case errors.Is(e, syscall.ENOTDIR):
		for at := e.Path; ; at = filepath.Dir(at) {
			if st, err := os.Stat(at); err == nil && !st.IsDir() {
				if at == e.Path {
					return at + " is a file; want a folder"
				}
				return fmt.Sprintf("%s is a file, and no folder: there can be no %s", at, e.Path)
			}
			if at == filepath.Dir(at) {
				return ""
			}
		}
	}
	return ""
}

// missing says what of a path is not there.
func missing(path string) string {
	if to, err := os.Readlink(path); err == nil {
		return fmt.Sprintf("%s is a link to %s, which is not there", path, to)
	}
	if dir := filepath.Dir(path); dir != "." {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("there is no %s: no folder %s", path, dir)
		}
	}
	return "there is no " + path
}
