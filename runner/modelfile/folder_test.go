package modelfile

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"llmscale/gguf"
)

// slowMaker makes a file that takes a while, and counts how often.
type slowMaker struct {
	times *atomic.Int32
	fail  error
}

func (s slowMaker) made(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s slowMaker) make(path string, _ func(doneBytes, totalBytes int64)) (gguf.Written, error) {
	s.times.Add(1)
	time.Sleep(50 * time.Millisecond)
	if s.fail != nil {
		return gguf.Written{}, s.fail
	}
	return gguf.Written{}, os.WriteFile(path, []byte("model"), 0o666)
}

// TestOneMakes: runs that share a cold folder of models make each file once, and one whose turn comes after another
// has failed makes it itself.
func TestOneMakes(t *testing.T) {
	for _, fail := range []error{nil, os.ErrInvalid} {
		var times atomic.Int32
		dir := filepath.Join(t.TempDir(), "models")
		var all sync.WaitGroup
		errs := make([]error, 4)
		for i := range errs {
			all.Add(1)
			go func() {
				defer all.Done()
				ms := &Folder{Dir: dir}
				errs[i] = ms.makeOnce(&Model{File: filepath.Join(dir, "m.gguf"), maker: slowMaker{&times, fail}})
			}()
		}
		all.Wait()
		want := int32(1)
		if fail != nil {
			want = int32(len(errs))
		}
		if times.Load() != want {
			t.Errorf("made %d times, want %d", times.Load(), want)
		}
		for _, err := range errs {
			if err != fail {
				t.Errorf("%v, want %v", err, fail)
			}
		}
	}
}

// TestMakerSaysThatItWaits: whoever has locked the folder, and for whatever reason.
func TestMakerSaysThatItWaits(t *testing.T) {
	dir := t.TempDir()
	held, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Skip("folders cannot be locked here:", err)
	}
	var times atomic.Int32
	said := ""
	ms := &Folder{Dir: dir, Progress: func(what string, _, _ int64) { said += what; held.Close() }}
	if err := ms.makeOnce(&Model{File: filepath.Join(dir, "m.gguf"), maker: slowMaker{&times, nil}}); err != nil || times.Load() != 1 {
		t.Errorf("%v, made %d times", err, times.Load())
	}
	if !strings.HasPrefix(said, "waiting for") || !strings.Contains(said, dir) {
		t.Errorf("said %q", said)
	}
}
