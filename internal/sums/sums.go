// Package sums keeps lists of files' SHA-256 sums, in the form that `sha256sum -c`
// reads. The last line of a list is a comment with the sum of the lines above it, so
// that a change of the list itself is seen.
package sums

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/internal/durable"
)

// FileName is what a list is called.
const FileName = "SHA256SUMS"

// List is what a list says.
type List struct {
	About string            // one line
	Sums  map[string]string // lower-case hex by path, as seen from where the list is checked
}

// ErrAltered is that a list is not as it was written.
var ErrAltered = errors.New("the list's own sum, in its last line, is not that of the lines above it")

// Of is the sum of what r reads.
func Of(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func ofBytes(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

const ownSum = "# sum of the lines above: "

// Write writes the list to path.
func (l List) Write(disk durable.Disk, path string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n", strings.ReplaceAll(l.About, "\n", " "))
	for _, name := range slices.Sorted(maps.Keys(l.Sums)) {
		if strings.ContainsAny(name, "\n\r\\") { // which sha256sum writes otherwise
			return fmt.Errorf("%s: a file is called %q, which such a list cannot hold", path, name)
		}
		fmt.Fprintf(&b, "%s  %s\n", l.Sums[name], filepath.ToSlash(name))
	}
	fmt.Fprintf(&b, "%s%s\n", ownSum, ofBytes(b.Bytes()))
	return disk.WriteFile(path, b.Bytes())
}

// Parse reads a list. Its error is ErrAltered where it was changed since it was
// written.
func Parse(data []byte) (List, error) {
	at := bytes.LastIndex(data, []byte(ownSum))
	if at < 0 || string(data[at:]) != ownSum+ofBytes(data[:at])+"\n" {
		return List{}, ErrAltered
	}
	l := List{Sums: map[string]string{}}
	for i, line := range strings.Split(strings.TrimSuffix(string(data[:at]), "\n"), "\n") {
		if about, ok := strings.CutPrefix(line, "# "); ok && i == 0 {
			l.About = about
			continue
		}
		sum, name, ok := strings.Cut(line, "  ")
		if !ok || len(sum) != 64 || name == "" {
			return List{}, fmt.Errorf("line %d: want a sum and a file's name, got %q", i+1, line)
		}
		l.Sums[filepath.FromSlash(name)] = sum
	}
	return l, nil
}
