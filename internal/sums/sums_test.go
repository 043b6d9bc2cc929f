package sums

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/internal/durable"
)

// TestList: what is written is read again, any changed digit is seen, and sha256sum
// checks it.
func TestList(t *testing.T) {
	dir := t.TempDir()
	want := List{About: "written by a test, 1.2", Sums: map[string]string{}}
	for _, name := range []string{"a.csv", "sub/b 2.csv"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(name), 0o644)); err != nil {
			t.Fatal(err)
		}
		sum, err := Of(strings.NewReader(name))
		if err != nil {
			t.Fatal(err)
		}
		want.Sums[name] = sum
	}
	path := filepath.Join(dir, FileName)
	if err := want.Write(durable.Quick, path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Parse(data); err != nil || got.About != want.About || !maps.Equal(got.Sums, want.Sums) {
		t.Errorf("%+v, %v", got, err)
	}
	for i, c := range data {
		if c >= '0' && c <= '9' {
			data[i] = '0' + (c-'0'+1)%10
			if _, err := Parse(data); !errors.Is(err, ErrAltered) {
				t.Errorf("byte %d changed: %v", i, err)
			}
			data[i] = c
		}
	}
	if _, err := Parse(nil); !errors.Is(err, ErrAltered) {
		t.Errorf("empty: %v", err)
	}
	if tool, err := exec.LookPath("sha256sum"); err == nil {
		check := exec.Command(tool, "--check", "--strict", FileName)
		check.Dir = dir
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v\n%s", err, out)
		}
	}
	if err := (List{Sums: map[string]string{"a\nb": ""}}).Write(durable.Quick, path); err == nil {
		t.Error("a name with a line end was written")
	}
}
