package modelfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"llmscale/gguf"
	"llmscale/runner/config"
	"llmscale/runner/files"
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
func hearing(dir string) (*Folder, *[]string) {
	did := &[]string{}
	return &Folder{Dir: dir, Progress: func(what string, done, total int64) {
		if n := len(*did); n == 0 || (*did)[n-1] != what {
			*did = append(*did, what)
		}
	}}, did
}

// age makes files older than files.Settled, as far as can be told of a time that nobody can set back: the test waits.
func age(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("waits for a file to have settled")
	}
	time.Sleep(files.Settled + 100*time.Millisecond)
}

// prepared are a model's files of two types.
func prepared(t *testing.T, ms *Folder) []Model {
	t.Helper()
	var out []Model
	for _, dtype := range []string{"f32", "f16"} {
		m, err := ms.Resolve(config.Model{Name: "a", Kind: config.KindSynth, Preset: "tiny-gpt2"}, config.Backend{DType: dtype})
		if err == nil {
			err = ms.Prepare(&m)
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.SHA256 != sha(t, m.File) {
			t.Errorf("%s: the hash is %s, that of its bytes %s", m.File, m.SHA256, sha(t, m.File))
		}
		out = append(out, m)
	}
	return out
}

// TestHashedWhileWritten: a run that writes its models hashes none of them afterwards, a later one only reads them, and
// of one that was changed in between the later one hashes what is there.
func TestHashedWhileWritten(t *testing.T) {
	dir := t.TempDir()
	does := func(ms *Folder, did *[]string, want string, but string) []Model {
		t.Helper()
		*did = nil
		made := prepared(t, ms)
		for _, what := range *did {
			if !strings.HasPrefix(what, want) && (but == "" || what != but) {
				t.Errorf("%q; want only %s", what, want)
			}
		}
		if len(*did) == 0 {
			t.Errorf("nothing was done; want %s", want)
		}
		return made
	}
	ms, did := hearing(dir)
	made := does(ms, did, "writing", "")
	*did = nil
	if prepared(t, ms); len(*did) != 0 {
		t.Errorf("the same run: %q", *did)
	}
	ms, did = hearing(dir)
	does(ms, did, "reading", "")

	// A weight changes in place, size and time of writing do not.
	path := made[0].File
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("x"), st.Size()-1)
		err = errors.Join(err, f.Close(), os.Chtimes(path, st.ModTime(), st.ModTime()))
	}
	if err != nil {
		t.Fatal(err)
	}
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
		h, err := ms.hash(paths)
		if err != nil || h.SHA256 != sha(t, paths...) {
			t.Fatalf("%s: %+v, %v", what, h, err)
		}
		if len(*did) != 2 || (*did)[0] != want+" a" || (*did)[1] != want+" b" {
			t.Errorf("%s: %q, want %s", what, *did, want)
		}
	}
	kept := filepath.Join(dir, HashesFile)
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
	if _, err := ms.hash(paths); err == nil {
		t.Error("a file that is gone has a hash")
	}
	if _, err := ms.hash(paths[:1]); err != nil {
		t.Fatal(err)
	}
	if left := ms.kept(); len(left) != 1 || len(left[0].Files) != 1 {
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
	ms.wrote(path, gguf.Written{})
	if h, err := ms.hash([]string{path}); err != nil || h.SHA256 != sha(t, path) || len(*did) != 1 {
		t.Errorf("%+v, %v, %q", h, err, *did)
	}
}
