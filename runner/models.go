package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"llmscale/gguf"
	"llmscale/gguf/hf"
	"llmscale/runner/config"
)

// Model is a config's model as a file.
type Model struct {
	config.Model
	File   string // path of the GGUF
	SHA256 string // of the file; "" until Prepare, and where the model is too large to be tried
	Desc   gguf.Description

	Positions int64 // rows of a learned position table; 0: the model has none

	maker maker // nil: the file is somebody's own
}

// CheckLength refuses a sequence that is longer than the model's table of
// positions, beyond which llama.cpp would read past it and abort.
func (m *Model) CheckLength(prompt, gen int) error {
	if m.Positions > 0 && int64(prompt+gen) > m.Positions {
		return fmt.Errorf("model %s has %d positions: a prompt of %d tokens and %d decode steps do not fit", m.Name, m.Positions, prompt, gen)
	}
	return nil
}

// Models finds or makes the files of a config's models.
type Models struct {
	Dir string // where models that are synthesised or converted are kept between runs

	// Progress, if not nil, hears what is being written or hashed.
	Progress func(what string, doneBytes, totalBytes int64)

	hashes  map[string]string    // of files, by path
	folders map[string]*hf.Model // open for conversion, by path
}

// WeightSeed draws the weights of synthesised models. It is not the run's seed:
// times do not depend on weights, and a new run seed need not write them anew.
const WeightSeed = 42

// Resolve finds the file of m for backend b and describes it; a model that is
// to be made is described whether its file is there or not.
func (ms *Models) Resolve(m config.Model, b config.Backend) (Model, error) {
	out := Model{Model: m}
	err := ms.source(&out, b)
	if err == nil && out.maker == nil {
		err = out.describe()
	}
	if err != nil {
		return Model{}, fmt.Errorf("model %s (source %q): %w", m.Name, m.Source, err)
	}
	return out, m.CheckClaim(out.Desc.ParamsTotal)
}

// describe reads the model's own file.
func (m *Model) describe() error {
	f, err := gguf.Open(m.File)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s: correct the model's source", m.File)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	m.File = f.Path // of a model in several parts the first, which is the one that llama.cpp takes
	return m.describeFile(f)
}

func (m *Model) describeFile(f *gguf.File) (err error) {
	if t, ok := f.Tensor("position_embd.weight"); ok && len(t.Dims) == 2 {
		m.Positions = t.Dims[1]
	}
	m.Desc, err = gguf.Describe(f)
	return err
}

// prepare makes a model's file unless a whole one of the same making is there,
// and hashes it.
func (ms *Models) prepare(m *Model) error {
	if m.maker != nil && !m.maker.made(m.File) {
		if err := os.MkdirAll(ms.Dir, 0o777); err != nil {
			return err
		}
		progress := func(done, total int64) {}
		if ms.Progress != nil {
			progress = func(done, total int64) { ms.Progress("writing "+filepath.Base(m.File), done, total) }
		}
		if err := m.maker.make(m.File, progress); err != nil {
			return err
		}
	}
	var err error
	m.SHA256, err = ms.hash(m.File)
	return err
}

// discard removes a file that prepare made.
func (ms *Models) discard(m *Model) error {
	delete(ms.hashes, m.File)
	return os.Remove(m.File)
}

// checkDisk compares the models that are still to be written with the space that
// is free, before the first is; of transient ones, the largest.
func (ms *Models) checkDisk(jobs []Job, transient bool) error {
	need := int64(0)
	seen := map[string]bool{}
	for i := range jobs {
		m := &jobs[i].Model
		if m.maker == nil || !jobs[i].tried() || seen[m.File] {
			continue
		}
		seen[m.File] = true
		if !m.maker.made(m.File) {
			if transient {
				need = max(need, m.Desc.FileBytes)
			} else {
				need += m.Desc.FileBytes
			}
		}
	}
	dir := ms.Dir
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir) // it will be made in the nearest folder that exists
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return nil // not known: writing will tell
	}
	if free := int64(disk.Bavail) * disk.Bsize; need > free {
		return fmt.Errorf("runner: the models to be written take %s, %s has %s free: choose fewer models or another --models-dir", GiB(need), dir, GiB(free))
	}
	return nil
}

// RemoveUnfinished removes the beginnings of models that this process was
// writing to dir when it was interrupted.
func RemoveUnfinished(dir string) error {
	parts, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf(".*.gguf.%d-*.part", os.Getpid())))
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range parts {
		errs = append(errs, os.Remove(p))
	}
	return errors.Join(errs...)
}

// Close closes what the models were read from.
func (ms *Models) Close() error {
	var errs []error
	for _, f := range ms.folders {
		errs = append(errs, f.Close())
	}
	ms.folders = nil
	return errors.Join(errs...)
}

// hash returns the SHA-256 of a file's content.
func (ms *Models) hash(path string) (string, error) {
	if sum, ok := ms.hashes[path]; ok {
		return sum, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	r := io.Reader(f)
	if ms.Progress != nil {
		r = &countingReader{r: f, report: func(done int64) { ms.Progress("hashing "+filepath.Base(path), done, info.Size()) }}
	}
	if _, err := io.CopyBuffer(h, r, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	if ms.hashes == nil {
		ms.hashes = map[string]string{}
	}
	ms.hashes[path] = hex.EncodeToString(h.Sum(nil))
	return ms.hashes[path], nil
}

type countingReader struct {
	r      io.Reader
	done   int64
	report func(done int64)
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.done += int64(n)
	c.report(c.done)
	return n, err
}
