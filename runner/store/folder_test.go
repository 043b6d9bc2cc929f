package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"llmscale/internal/durable"
	"llmscale/runner/config"
)

// faulty is a disk that fails in one call; folder tells those of folders from those of files.
func faulty(lock, syncFile, syncFolder error) durable.Disk {
	return durable.Disk{
		Lock: func(*os.File) error { return lock },
		Sync: func(f *os.File) error {
			if info, err := f.Stat(); err != nil || info.IsDir() {
				return errors.Join(err, syncFolder)
			}
			return syncFile
		},
	}
}

// listing is what a folder holds: contents by path.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var data []byte
			data, err = os.ReadFile(path)
			out[path] = string(data)
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

// TestFileSystemsThatOfferLess: what is not offered is gone without and said; what
// fails is told by its own name, and leaves nothing behind.
func TestFileSystemsThatOfferLess(t *testing.T) {
	type want struct{ lack, err string }
	for _, c := range []struct {
		disk durable.Disk
		want want
	}{
		{faulty(nil, nil, nil), want{}},
		{faulty(syscall.ENOLCK, nil, nil), want{lack: "cannot be locked"}},
		{faulty(syscall.EOPNOTSUPP, nil, nil), want{lack: "cannot be locked"}},
		{faulty(syscall.ENOSYS, nil, nil), want{lack: "cannot be locked"}},
		{faulty(syscall.EINVAL, nil, nil), want{lack: "cannot be locked"}},
		{faulty(nil, nil, syscall.EINVAL), want{lack: "cannot be brought to the disk"}},
		{faulty(nil, syscall.ENOSYS, nil), want{lack: "cannot be brought to the disk"}},
		{faulty(syscall.EWOULDBLOCK, nil, nil), want{err: "in use by another llmscale"}},
		{faulty(syscall.EIO, nil, nil), want{err: "input/output error"}},
		{faulty(syscall.ESTALE, nil, nil), want{err: "stale file handle"}},
		{faulty(syscall.EACCES, nil, nil), want{err: "permission denied"}},
		{faulty(nil, nil, syscall.EIO), want{err: "input/output error"}},
		{faulty(nil, syscall.EIO, nil), want{err: "input/output error"}},
	} {
		for _, exists := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "run")
			if exists {
				if err := os.Mkdir(dir, 0o777); err != nil {
					t.Fatal(err)
				}
			}
			s, err := CreateOn(dir, "", c.disk)
			if c.want.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.want.err) || !strings.Contains(err.Error(), dir) {
					t.Errorf("%v, want %q and the folder", err, c.want.err)
				}
				if strings.Contains(c.want.err, "in use") != strings.Contains(fmt.Sprint(err), "in use") {
					t.Errorf("%v: in use?", err)
				}
				if _, err := os.Stat(dir); !strings.Contains(c.want.err, "in use") && (len(listing(t, dir)) != 0 || exists != (err == nil)) {
					t.Errorf("%s left behind %v", c.want.err, listing(t, dir))
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", c.want.lack, err)
				continue
			}
			said := fmt.Sprint(s.Lacks)
			if c.want.lack == "" && len(s.Lacks) > 0 || c.want.lack != "" && (len(s.Lacks) != 1 || !strings.Contains(said, c.want.lack)) {
				t.Errorf("said %s, want %q", said, c.want.lack)
			}
			if err := errors.Join(s.WriteFile(ManifestFile, []byte("{}")), s.Append(aCall(0, 0)), s.Close()); err != nil {
				t.Errorf("%s: %v", c.want.lack, err)
			}
			again, err := openOn(dir, c.disk)
			if err != nil || len(again.Lacks) != len(s.Lacks) {
				t.Fatalf("opened again: %v", err)
			}
			if records, err := again.Recover(); err != nil || len(records) != 3 {
				t.Errorf("%d records, %v", len(records), err)
			}
			again.Close()
		}
	}
}

// TestLockThatLostItsName: between opening and locking, whoever gave the folder up
// has removed the file. The lock must be on the file that the next one will find.
func TestLockThatLostItsName(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, lockFile)
	removals := 0
	d := durable.System
	d.Lock = func(f *os.File) error {
		if removals < 2 {
			removals++
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
		return durable.System.Lock(f)
	}
	s, err := CreateOn(dir, "", d)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := Create(dir, ""); err == nil || !strings.Contains(err.Error(), "in use") || removals != 2 {
		t.Errorf("after %d removals: %v", removals, err)
	}
}

// TestSecondAttempt: whatever an attempt has left that ended before its first record,
// by whichever way, the next one with the same folder begins.
func TestSecondAttempt(t *testing.T) {
	cfg, err := config.Parse("test.yaml", []byte("scenarios: [{name: s, prompt: x}]\nmodels: [{name: a, source: synth:tiny-gpt2}]\nbackends: [{name: b, dtype: f32}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	attempt := func(dir, models string) *Folder {
		t.Helper()
		s, err := Create(dir, models)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	begun := func(s *Folder) {
		t.Helper()
		if err := errors.Join(s.SaveConfig(cfg), s.WriteFile(ManifestFile, []byte("{}"))); err != nil {
			t.Fatal(err)
		}
	}
	put := func(dir, name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for what, first := range map[string]func(dir, models string){
		"killed while preparing": func(dir, models string) { attempt(dir, models).Close() },
		"refused while preparing": func(dir, models string) {
			put(models, "m.gguf", "model")
			if err := attempt(dir, models).Discard(); err != nil {
				t.Error(err)
			}
		},
		"killed while writing the config":   func(dir, models string) { attempt(dir, models).Close(); put(dir, ".config.yaml-12-0", "half") },
		"killed while writing the manifest": func(dir, models string) { attempt(dir, models).Close(); put(dir, ".manifest.json-12-3", "{") },
		"killed before the first record": func(dir, models string) {
			s := attempt(dir, models)
			begun(s)
			put(dir, ".ceilings.json-9-0", "{")
			s.Close()
		},
		"interrupted before the first record": func(dir, models string) {
			s := attempt(dir, models)
			begun(s)
			if err := errors.Join(s.WriteMetrics(), s.WriteCSV(LoadsFile, nil), s.WriteCSV(ParamsFile, nil), s.Discard()); err != nil {
				t.Error(err)
			}
			again, err := Open(dir)
			if err != nil {
				t.Fatalf("a run that had begun cannot be resumed: %v", err)
			}
			again.Close()
		},
	} {
		for _, inside := range []bool{false, true} {
			root := filepath.Join(t.TempDir(), "a [b] ä")
			dir, models := filepath.Join(root, "-run"), filepath.Join(root, "models")
			if inside {
				models = filepath.Join(dir, "models", "deep")
			}
			first(dir, models)
			put(dir, "ceilings.json", "measured")
			s, err := Create(dir, models)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			for name, text := range listing(t, dir) {
				switch rel, _ := filepath.Rel(dir, name); rel {
				case lockFile, RunsFile, "models/deep/m.gguf":
				case "ceilings.json":
					if text != "measured" {
						t.Errorf("%s: the ceilings are %q", what, text)
					}
				default:
					t.Errorf("%s: %s is still there", what, name)
				}
			}
			begun(s)
			if err := errors.Join(s.Append(aCall(0, 0)), s.Close()); err != nil {
				t.Error(err)
			}
		}
	}

	for what, holds := range map[string]struct {
		name, text, want string
	}{
		"a record":                   {RunsFile, "{}", "it holds a run: choose a new one, or go on with that one: --resume"},
		"what a crash moved aside":   {RunsFile + ".unfinished-20260101T000000.000", "{", "it holds \"runs.jsonl.unfinished-"},
		"a file of somebody's own":   {"thesis.txt", "x", `it holds "thesis.txt"`},
		"a name like one of a run's": {".runs.jsonl-mine", "x", `it holds ".runs.jsonl-mine"`},
		"a folder of somebody's own": {"models/x", "x", `it holds "models"`},
	} {
		dir := t.TempDir()
		s := attempt(dir, "")
		begun(s)
		s.Close()
		put(dir, holds.name, holds.text)
		before := listing(t, dir)
		_, err := Create(dir, filepath.Join(t.TempDir(), "models"))
		if err == nil || !strings.Contains(err.Error(), holds.want) {
			t.Errorf("%s: %v, want %q", what, err, holds.want)
		}
		if !maps.Equal(before, listing(t, dir)) {
			t.Errorf("%s: the folder was changed: %v", what, listing(t, dir))
		}
	}

	dir := filepath.Join(t.TempDir(), "run")
	s := attempt(dir, "")
	defer s.Close()
	before := listing(t, dir)
	if _, err := Create(dir, ""); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a folder in use: %v", err)
	}
	if !maps.Equal(before, listing(t, dir)) {
		t.Errorf("a folder in use was changed: %v", listing(t, dir))
	}
	if _, err := Create(dir, dir+"/."); err == nil || !strings.Contains(err.Error(), "choose two") {
		t.Errorf("models in the run's own folder: %v", err)
	}
}

func TestOpenRefusals(t *testing.T) {
	_, dir := newStore(t)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a folder in use: %v", err)
	}
	empty := t.TempDir()
	if _, err := Open(empty); err == nil || !strings.Contains(err.Error(), "not a run folder") || len(listing(t, empty)) != 0 {
		t.Errorf("a folder without a manifest: %v, %v", err, listing(t, empty))
	}
	if err := os.WriteFile(filepath.Join(empty, ManifestFile), []byte("{}"), 0o666); err != nil { // as in results/
		t.Fatal(err)
	}
	if _, err := Open(empty); err == nil || !strings.Contains(err.Error(), RunsFile) || len(listing(t, empty)) != 1 {
		t.Errorf("a folder without records: %v, %v", err, listing(t, empty))
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(filepath.Join(file, "run"), ""); err == nil || !strings.Contains(err.Error(), "the run's folder") {
		t.Errorf("a folder inside a file: %v", err)
	}
}

// TestDiscard removes what was made and nothing else.
func TestDiscard(t *testing.T) {
	mine := t.TempDir()
	for _, dir := range []string{mine, filepath.Join(mine, "new")} {
		s, err := Create(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Discard(); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(mine); err != nil || len(entries) != 0 {
		t.Errorf("left in the user's folder: %v, %v", entries, err)
	}
	s, dir := newStore(t)
	before := listing(t, dir)
	if err := s.Discard(); err != nil || !maps.Equal(before, listing(t, dir)) {
		t.Errorf("a run that has begun: %v, %v", err, listing(t, dir))
	}
}
