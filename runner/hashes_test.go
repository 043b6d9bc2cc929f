package runner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"llmscale/gguf"
	"llmscale/gguf/synth"
	"llmscale/runner/config"
	"llmscale/runner/files"
	"llmscale/runner/modelfile"
	"llmscale/runner/worker"
)

// sha is a file's hash by its bytes.
func sha(t *testing.T, paths ...string) string {
	t.Helper()
	h := sha256.New()
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hearing is Models in a folder that note what they do to files, once each.
func hearing(dir string) (*modelfile.Folder, *[]string) {
	did := &[]string{}
	return &modelfile.Folder{Dir: dir, Progress: func(what string, done, total int64) {
		if n := len(*did); n == 0 || (*did)[n-1] != what {
			*did = append(*did, what)
		}
	}}, did
}

// age makes files older than settled, as far as can be told of a time that nobody can set back: the test waits.
func age(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("waits for a file to have settled")
	}
	time.Sleep(files.Settled + 100*time.Millisecond)
}

func prepared(t *testing.T, ms *modelfile.Folder) *Plan {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "test.yaml"), []byte(testConfig))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(cfg, ms, &worker.Programs{})
	if err == nil {
		err = p.Prepare(t.Context(), ms)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.Jobs {
		if m := &p.Jobs[i].Model; m.SHA256 != sha(t, m.File) {
			t.Errorf("%s: the hash is %s, that of its bytes %s", m.Name, m.SHA256, sha(t, m.File))
		}
	}
	return p
}

// TestHashedWhileWritten: a run that writes its models hashes none of them afterwards, a later one only reads them, and
// of one that was changed in between the later one hashes what is there.
func TestHashedWhileWritten(t *testing.T) {
	dir := t.TempDir()
	does := func(ms *modelfile.Folder, did *[]string, want string, but string) *Plan {
		t.Helper()
		*did = nil
		p := prepared(t, ms)
		for _, what := range *did {
			if !strings.HasPrefix(what, want) && (but == "" || what != but) {
				t.Errorf("%q; want only %s", what, want)
			}
		}
		if len(*did) == 0 {
			t.Errorf("nothing was done; want %s", want)
		}
		return p
	}
	ms, did := hearing(dir)
	p := does(ms, did, "writing", "")
	*did = nil
	if prepared(t, ms); len(*did) != 0 {
		t.Errorf("the same run: %q", *did)
	}
	ms, did = hearing(dir)
	does(ms, did, "reading", "")

	// A weight changes in place, size and time of writing do not.
	path := p.Jobs[0].Model.File
	changeUnseen(t, path)
	ms, did = hearing(dir)
	does(ms, did, "reading", "hashing "+filepath.Base(path))
}

// TestKeptHashes: what is read of somebody's own files, in parts too, is kept once they have settled; a broken file of
// hashes costs the time of hashing.
func TestKeptHashes(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"a", "b"} {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(paths[len(paths)-1], []byte("content of "+name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	look := func(what, want string) {
		t.Helper()
		ms, did := hearing(dir)
		h, err := ms.Hash(paths)
		if err != nil || h.SHA256 != sha(t, paths...) {
			t.Fatalf("%s: %+v, %v", what, h, err)
		}
		if len(*did) != 2 || (*did)[0] != want+" a" || (*did)[1] != want+" b" {
			t.Errorf("%s: %q, want %s", what, *did, want)
		}
	}
	kept := filepath.Join(dir, modelfile.HashesFile)
	look("just written", "hashing")
	if _, err := os.Stat(kept); err == nil {
		t.Error("the hash of a file that may still change within a tick was kept")
	}
	age(t)
	look("settled", "hashing")
	look("known", "reading")
	data, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{"", "[{", `[{"sha256": "0", "files": []}]`, `{"a": 1}`} {
		if err := os.WriteFile(kept, []byte(broken), 0o666); err != nil {
			t.Fatal(err)
		}
		look(broken, "hashing")
		look("after "+broken, "reading")
	}
	if now, err := os.ReadFile(kept); err != nil || string(now) != string(data) {
		t.Errorf("%s\nwant %s (%v)", now, data, err)
	}
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	ms, _ := hearing(dir)
	if _, err := ms.Hash(paths); err == nil {
		t.Error("a file that is gone has a hash")
	}
	if _, err := ms.Hash(paths[:1]); err != nil {
		t.Fatal(err)
	}
	if left := ms.Kept(); len(left) != 1 || len(left[0].Files) != 1 {
		t.Errorf("kept %+v, want the file that is there", left)
	}
}

// TestUnsureHash: of a file of which the writer could not tell what lies there, the bytes are read.
func TestUnsureHash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	ms, did := hearing(dir)
	ms.Wrote(path, gguf.Written{})
	if h, err := ms.Hash([]string{path}); err != nil || h.SHA256 != sha(t, path) || len(*did) != 1 {
		t.Errorf("%+v, %v, %q", h, err, *did)
	}
}

// BenchmarkHash: what a model costs that is hashed after it was written, while it is, in a later run, and that a later
// run knows.
func BenchmarkHash(b *testing.B) {
	shape, err := synth.Lookup("gpt2-50m")
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "m.gguf")
	write := func(w *gguf.Written) error {
		return synth.Write(path, shape, synth.Options{Type: "f16", Written: w})
	}
	if err := write(nil); err != nil {
		b.Fatal(err)
	}
	known, err := files.Hash([]string{path}, nil)
	if err != nil {
		b.Fatal(err)
	}
	hash := func() error { _, err := files.Hash([]string{path}, nil); return err }
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"later", hash},
		{"known", func() error { return known.CopyTo(io.Discard, "", nil) }},
		{"after writing", func() error { return cmp.Or(write(nil), hash()) }},
		{"while writing", func() error { return write(&gguf.Written{}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(known.Files[0].Size)
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
