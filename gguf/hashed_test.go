package gguf

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// writeHashed writes a file of two tensors with padding between, the second in pieces.
func writeHashed(t *testing.T, path string, written *Written, before func()) error {
	t.Helper()
	entries := []Entry{{"general.architecture", "none"}, {"general.alignment", uint32(64)}, {"tokens", []string{"a", "bc"}}}
	w, err := CreateHashed(path, entries, []Spec{{"x", F32, []int64{3}}, {"y", F32, []int64{1 << 20}}}, written)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out, err := w.Tensor("x")
	if err == nil {
		_, err = out.Write(make([]byte, 12))
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err = w.Tensor("y"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<20) // used again and again, as by draw.Stream
	for i := range 4 {
		for k := range buf {
			buf[k] = byte(i + k)
		}
		if _, err := out.Write(buf); err != nil {
			t.Fatal(err)
		}
	}
	before()
	return w.Finish()
}

// TestCreateHashed: the hash is that of the file's bytes, the identity that of the file that has the name.
func TestCreateHashed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	written := Written{SHA256: "of an earlier file"}
	if err := writeHashed(t, path, &written, func() {
		if written.SHA256 != "" {
			t.Errorf("%q before the file has its name", written.SHA256)
		}
	}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if written.SHA256 != hex.EncodeToString(sum[:]) || !os.SameFile(written.Info, info) || written.Info.Size() != int64(len(data)) {
		t.Errorf("%+v; the file's hash is %x, and it has %d bytes", written, sum, len(data))
	}
}

// TestHashOfNothing: a file that was changed by somebody else before it had its name, or that did not get it, has no
// hash.
func TestHashOfNothing(t *testing.T) {
	for what, do := range map[string]func(temp string) error{
		"appended to": func(temp string) error {
			f, err := os.OpenFile(temp, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("more")
				f.Close()
			}
			return err
		},
		"removed": os.Remove,
	} {
		dir := t.TempDir()
		var written Written
		err := writeHashed(t, filepath.Join(dir, "m.gguf"), &written, func() {
			parts, _ := filepath.Glob(filepath.Join(dir, ".*.part"))
			if len(parts) != 1 {
				t.Fatalf("%q is being written", parts)
			}
			if err := do(parts[0]); err != nil {
				t.Fatal(err)
			}
		})
		if written.SHA256 != "" || written.Info != nil || (err != nil) != (what == "removed") {
			t.Errorf("%s: %+v, %v", what, written, err)
		}
	}
}
