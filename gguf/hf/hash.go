package hf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/gguf"
)

// files lists the names of the files in the folder that decide the result, sorted.
func (m *Model) files() []string {
	return slices.Compact(slices.Sorted(slices.Values(m.used)))
}

// ContentHash returns the SHA-256, in hex, over the names and contents of the files in the folder that decide what
// Write makes: for each in the order of their names, the length of the name in 8 bytes little endian, the name, the
// length of the content and the content. It reads them all the first time; progress, if not nil, hears how far it
// is.
func (m *Model) ContentHash(progress func(doneBytes, totalBytes int64)) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hash != "" {
		return m.hash, nil
	}
	total, sizes := int64(0), map[string]int64{}
	for _, name := range m.files() {
		st, err := os.Stat(filepath.Join(m.dir, name))
		if err != nil {
			return "", fmt.Errorf("hf: %w", err)
		}
		sizes[name] = st.Size()
		total += st.Size()
	}
	h := sha256.New()
	length := func(n int64) { h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
	done := int64(0)
	buf := make([]byte, 1<<20)
	for _, name := range m.files() {
		length(int64(len(name)))
		io.WriteString(h, name)
		length(sizes[name])
		f, err := os.Open(filepath.Join(m.dir, name))
		if err != nil {
			return "", fmt.Errorf("hf: %w", err)
		}
		read := int64(0)
		for err == nil {
			var n int
			n, err = f.Read(buf)
			h.Write(buf[:n])
			read += int64(n)
			done += int64(n)
			if progress != nil && n > 0 {
				progress(done, total)
			}
		}
		f.Close()
		if err != io.EOF {
			return "", fmt.Errorf("hf: %w", err)
		}
		if read != sizes[name] {
			return "", &Error{Path: filepath.Join(m.dir, name), What: "the file changes while it is read"}
		}
	}
	m.hash = hex.EncodeToString(h.Sum(nil))
	return m.hash, nil
}

// FileName names the file that Write makes of the type by what makes it what it is: the model's name, the content's
// hash, the type and the converter's version.
func (m *Model) FileName(typ string) (string, error) {
	t, err := parseType(typ)
	if err != nil {
		return "", err
	}
	hash, err := m.ContentHash(nil)
	if err != nil {
		return "", err
	}
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, m.name)
	return fmt.Sprintf("%s-hf%d-%s-%s.gguf", strings.TrimLeft(safe[:min(len(safe), 100)], "."), Version, hash[:16], t), nil
}

// Matches tells whether the file at path is what Write would make of this folder in this type: its size and every
// byte before the weights are compared, and those hold the content's hash and the converter's version. The weights in
// the file are not read.
func (m *Model) Matches(path, typ string) bool {
	t, err := parseType(typ)
	if err != nil {
		return false
	}
	hash, err := m.ContentHash(nil)
	if err != nil {
		return false
	}
	want, err := m.preview(t, hash)
	if err != nil {
		return false
	}
	f, err := gguf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if f.Size != want.Size || f.DataOffset != want.DataOffset {
		return false
	}
	a, errA := io.ReadAll(f.Header())
	b, errB := io.ReadAll(want.Header())
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
