package modelfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"llmscale/gguf"
	"llmscale/gguf/hf"
	"llmscale/gguf/ledger"
	"llmscale/internal/durable"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/files"
	"llmscale/runner/record"
)

// Folder finds or makes the files of a config's models.
type Folder struct {
	Dir string // where models that are synthesised or converted are kept between runs

	// Progress, if not nil, hears what is being written or hashed, or waited for, which has no size.
	Progress func(what string, doneBytes, totalBytes int64)

	hashes  map[string]files.Content // of models that were read or written, by hashKey
	folders map[string]*hf.Model     // open for conversion, by path
	shapes  map[shapeKey]Model       // as synthesised has described them
}

// WeightSeed draws the weights of synthesised models. It is not the run's seed:
// times do not depend on weights, and a new run seed need not write them anew.
const WeightSeed = 42

// Resolve finds the file of m for backend b and describes it; a model that is
// to be made is described whether its file is there or not.
func (ms *Folder) Resolve(m config.Model, b config.Backend) (Model, error) {
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

// Ours tells whether the model's file is made by this program; otherwise it is somebody's own.
func (m *Model) Ours() bool { return m.maker != nil }

// Missing tells whether the model's file is still to be made.
func (m *Model) Missing() bool { return m.maker != nil && !m.maker.made(m.File) }

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
	m.Files = nil
	for _, p := range f.Parts() {
		m.Files = append(m.Files, files.Identify(p.Path, p.Info))
	}
	if err := m.describeFile(f); err != nil {
		return err
	}
	return files.CheckSince(m.Files, "opened to be described")
}

func (m *Model) describeFile(f *gguf.File) (err error) {
	if t, ok := f.Tensor("position_embd.weight"); ok && len(t.Dims) == 2 {
		m.Positions = t.Dims[1]
	}
	if m.Desc, err = ledger.Describe(f); err != nil {
		return err
	}
	m.Expect = expect(f, &m.Desc)
	return nil
}

// makeOnce makes a model's file unless a whole one of the same making is there. Of two
// programs that share a models folder one waits for the other: each would replace what
// the other has hashed. The folder itself is what is locked. A file system that locks
// none is gone along with: then the load tells that the file was replaced.
func (ms *Folder) makeOnce(m *Model) error {
	if m.maker.made(m.File) {
		return nil
	}
	folder := filepath.Dir(m.File)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close() // which unlocks it
	if errors.Is(durable.System.Lock(dir), syscall.EWOULDBLOCK) {
		if ms.Progress != nil {
			ms.Progress("waiting for another program that has locked "+folder+", as one that writes models there does", 0, 0)
		}
		_ = durable.Wait(dir)
	}
	if m.maker.made(m.File) {
		return nil // by now
	}
	progress := func(done, total int64) {}
	if ms.Progress != nil {
		progress = func(done, total int64) { ms.Progress("writing "+filepath.Base(m.File), done, total) }
	}
	written, err := m.maker.make(m.File, progress)
	if err == nil {
		ms.wrote(m.File, written)
	}
	return err
}

// Prepare makes a model's file unless a whole one of the same making is there,
// and hashes it.
func (ms *Folder) Prepare(m *Model) error {
	if m.maker != nil {
		if err := ms.makeOnce(m); err != nil {
			return err
		}
	}
	described, err := m.asItIs()
	if err != nil {
		return err
	}
	h, err := ms.hash(files.Paths(described.Files))
	if err != nil {
		return err
	}
	if err := files.Same(described.Files, h.Files, "described"); err != nil {
		return err
	}
	m.SHA256, m.Files, m.Expect = h.SHA256, h.Files, described.Expect
	return nil
}

// asItIs describes the model's file once more, if it was made, perhaps long ago, or has changed since it was described.
// It must be the one that was planned.
func (m *Model) asItIs() (Model, error) {
	now := *m
	var failure error = record.Failf(record.StatusError, "%s is not the model that was planned: remove it, and it will be made anew", m.File)
	if m.maker == nil {
		if failure = files.CheckSince(m.Files, "described"); failure == nil {
			return now, nil
		}
	}
	err := now.describe()
	switch {
	case err != nil && m.maker != nil:
		return now, err
	case err != nil || !text.SameJSON(m.Desc, now.Desc) || m.Positions != now.Positions:
		return now, failure
	}
	return now, nil
}

// Discard removes a file that Prepare made, or was about to make.
func (ms *Folder) Discard(m *Model) error {
	delete(ms.hashes, m.File)
	if err := os.Remove(m.File); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// CheckDisk compares the models that are still to be written with the space that
// is free, before the first is.
func (ms *Folder) CheckDisk(models []*Model) error {
	need := int64(0)
	seen := map[string]bool{}
	for _, m := range models {
		if !seen[m.File] && m.Missing() {
			need += m.Desc.FileBytes
		}
		seen[m.File] = true
	}
	if free, dir, ok := ms.free(); ok && need > free {
		return fmt.Errorf("the models to be written take %s, %s has %s free: choose fewer models or another --models-dir", text.Size(need), dir, text.Size(free))
	}
	return nil
}

// NoRoom says why a model that is still to be written cannot be, were it the only one; "" where it can, or the system
// does not say.
func (ms *Folder) NoRoom(m *Model) string {
	if free, dir, ok := ms.free(); ok && m.Desc.FileBytes > free && m.Missing() {
		return fmt.Sprintf("its file takes %s, %s has %s free", text.Size(m.Desc.FileBytes), dir, text.Size(free))
	}
	return ""
}

// free is the space for models, and the folder that has it: the nearest that exists.
func (ms *Folder) free() (bytes int64, dir string, ok bool) {
	dir = ms.Dir
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	bytes, ok = durable.Free(dir)
	return bytes, dir, ok
}

// RemoveUnfinished removes the beginnings of models that this process was
// writing to dir when it was interrupted.
func RemoveUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if mine, _ := filepath.Match(fmt.Sprintf(".*.gguf.%d-*.part", os.Getpid()), e.Name()); mine {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// Close closes what the models were read from.
func (ms *Folder) Close() error {
	var errs []error
	for _, f := range ms.folders {
		errs = append(errs, f.Close())
	}
	ms.folders = nil
	return errors.Join(errs...)
}
