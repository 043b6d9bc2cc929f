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

	"llmscale/gguf"
	"llmscale/gguf/synth"
	"llmscale/runner/config"
)

// Model is a config's model as a file.
type Model struct {
	config.Model
	File   string // path of the GGUF
	SHA256 string // of the file; "" in a dry run, and where the model is too large to be tried
	Desc   gguf.Description
}

// Models finds or makes the files of a config's models.
type Models struct {
	Dir    string // where synthesised models are kept between runs
	DryRun bool   // describe, but write and hash nothing

	// Progress, if not nil, hears what is being written or hashed.
	Progress func(what string, doneBytes, totalBytes int64)

	hashes map[string]string // by path
}

// WeightSeed draws the weights of synthesised models. It is not the run's seed:
// times do not depend on weights, and a new run seed need not write them anew.
const WeightSeed = 42

// Resolve returns the file of m for backend b, writing a synthesised one if it
// is not there yet.
func (ms *Models) Resolve(m config.Model, b config.Backend) (Model, error) {
	out := Model{Model: m, File: m.Path}
	var err error
	switch m.Kind {
	case config.KindSynth:
		out.File, out.Desc, err = ms.synthesise(m, b.DType)
	case config.KindGGUF:
		out.Desc, err = describe(m.Path)
	default:
		err = fmt.Errorf("unknown kind of model %q", m.Kind)
	}
	if err != nil {
		return Model{}, fmt.Errorf("model %s (source %q): %w", m.Name, m.Source, err)
	}
	if err := m.CheckClaim(out.Desc.ParamsTotal); err != nil {
		return Model{}, err
	}
	return out, nil
}

// SynthFileName names a synthesised model by what makes it what it is.
func SynthFileName(preset string, opt synth.Options) string {
	return fmt.Sprintf("%s-%s-seed%d.gguf", preset, opt.Type, opt.Seed)
}

func describe(path string) (gguf.Description, error) {
	f, err := gguf.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return gguf.Description{}, fmt.Errorf("there is no file %s: correct the model's source", path)
	}
	if err != nil {
		return gguf.Description{}, err
	}
	defer f.Close()
	return gguf.Describe(f)
}

// synthesise returns the file of a preset, which it writes unless a whole one of
// the same making is there.
func (ms *Models) synthesise(m config.Model, dtype string) (string, gguf.Description, error) {
	preset, err := synth.Lookup(m.Preset)
	if err != nil {
		return "", gguf.Description{}, err
	}
	opt := synth.Options{Type: dtype, Seed: WeightSeed}
	path := filepath.Join(ms.Dir, SynthFileName(preset.Name, opt))
	if synth.Matches(path, preset, opt) {
		desc, err := describe(path)
		return path, desc, err
	}
	if ms.DryRun {
		desc, err := synth.Describe(preset, opt)
		return path, desc, err
	}
	if err := os.MkdirAll(ms.Dir, 0o777); err != nil {
		return "", gguf.Description{}, err
	}
	if ms.Progress != nil {
		opt.Progress = func(done, total int64) { ms.Progress("writing "+filepath.Base(path), done, total) }
	}
	if err := synth.Write(path, preset, opt); err != nil {
		return "", gguf.Description{}, err
	}
	desc, err := describe(path)
	return path, desc, err
}

// Hash returns the SHA-256 of a model's file; "" in a dry run.
func (ms *Models) Hash(path string) (string, error) {
	if ms.DryRun {
		return "", nil
	}
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
