package modelfile

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/hf"
	"llmscale/gguf/ollamastore"
	"llmscale/gguf/synth"
	"llmscale/internal/paths"
	"llmscale/runner/config"
)

// maker makes the file of a model that is not somebody's own.
type maker interface {
	made(path string) bool // a whole file of the same making is there
	make(path string, progress func(doneBytes, totalBytes int64)) (gguf.Written, error)
}

// source finds out which file m stands for under backend b, and how it is made
// if it is not there. It fills File, and for models that are to be made maker,
// Desc and Positions.
func (ms *Folder) source(m *Model, b config.Backend) (err error) {
	switch m.Kind {
	case config.KindGGUF:
		m.File, err = paths.Absolute(m.Path)
		return err
	case config.KindOllama:
		store, err := ollamastore.Default()
		if err != nil {
			return err
		}
		stored, err := store.Resolve(m.Preset)
		if err != nil {
			return err
		}
		m.File, err = paths.Absolute(stored.Path) // OLLAMA_MODELS may be relative
		return err
	case config.KindHF:
		return ms.converted(m, b.DType)
	case config.KindLike:
		twin, err := synth.OpenTwin(m.Path)
		if err != nil {
			return err
		}
		return ms.synthesised(m, twin, synth.Options{Seed: WeightSeed})
	case config.KindSynth, config.KindShape, config.KindLadder:
		key := shapeKey{ms.Dir, m.Kind, m.Preset, m.Vocab, b.DType}
		if known, ok := ms.shapes[key]; ok { // under another backend: a header with its vocabulary takes a while
			known.Model = m.Model
			*m = known
			return nil
		}
		shape, err := shapeOf(m.Model)
		if err != nil {
			return err
		}
		if err := ms.synthesised(m, shape, synth.Options{Type: b.DType, Seed: WeightSeed}); err != nil {
			return err
		}
		if ms.shapes == nil {
			ms.shapes = map[shapeKey]Model{}
		}
		ms.shapes[key] = *m
		return nil
	}
	return fmt.Errorf("unknown kind of model %q", m.Kind)
}

func shapeOf(m config.Model) (synth.Shape, error) {
	shape, err := synth.Lookup(m.Kind + ":" + m.Preset)
	if err == nil && m.Vocab > 0 {
		shape = shape.WithVocab(int64(m.Vocab))
	}
	return shape, err
}

func (ms *Folder) synthesised(m *Model, model synth.Model, opt synth.Options) error {
	f, err := synth.Preview(model, opt)
	if err != nil {
		return err
	}
	head, err := synth.HeadOf(f)
	if err != nil {
		return err
	}
	m.File = filepath.Join(ms.Dir, SynthFileName(model, opt))
	m.maker = &synthMaker{model, opt, head}
	return m.describeFile(f)
}

// shapeKey names a file that is made of a shape.
type shapeKey struct {
	dir, kind, preset string
	vocab             int
	dtype             string
}

type synthMaker struct {
	model synth.Model
	opt   synth.Options
	head  synth.Head
}

func (s *synthMaker) made(path string) bool { return s.head.Matches(path) }

func (s *synthMaker) make(path string, progress func(doneBytes, totalBytes int64)) (w gguf.Written, err error) {
	opt := s.opt
	opt.Progress, opt.Written = progress, &w
	err = synth.Write(path, s.model, opt)
	return w, err
}

// converted is for a Hugging Face folder, which is hashed to know whether it was
// converted before.
func (ms *Folder) converted(m *Model, typ string) error {
	folder := ms.folders[m.Path]
	if folder == nil {
		var err error
		if folder, err = hf.Open(m.Path); err != nil {
			return err
		}
		if ms.folders == nil {
			ms.folders = map[string]*hf.Model{}
		}
		ms.folders[m.Path] = folder
	}
	var progress func(done, total int64)
	if ms.Progress != nil {
		progress = func(done, total int64) { ms.Progress("hashing "+m.Path, done, total) }
	}
	if _, err := folder.ContentHash(progress); err != nil {
		return err
	}
	name, err := folder.FileName(typ)
	if err != nil {
		return err
	}
	m.File = filepath.Join(ms.Dir, name)
	m.maker = &hfMaker{folder, typ}
	m.Desc, err = folder.Describe(typ)
	m.Positions = m.Desc.NCtxTrain // the folders of this family have a learned position table of that many rows
	return err
}

type hfMaker struct {
	folder *hf.Model
	typ    string
}

func (h *hfMaker) made(path string) bool { return h.folder.Matches(path, h.typ) }

func (h *hfMaker) make(path string, progress func(doneBytes, totalBytes int64)) (w gguf.Written, err error) {
	err = h.folder.Write(path, hf.Options{Type: h.typ, Progress: progress, Written: &w})
	return w, err
}

// SynthFileName names a synthesised model by what makes it what it is.
func SynthFileName(m synth.Model, opt synth.Options) string {
	name := m.Label()
	if opt.Type != "" { // a twin has its original's types
		name += "-" + opt.Type
	}
	return fmt.Sprintf("%s-seed%d.gguf", name, opt.Seed)
}

// ExpandLadders puts the rungs of a ladder in place of each model that is a
// whole one, named after it: "llama" becomes "llama-5m", "llama-9m", ...
func ExpandLadders(cfg *config.Config) error {
	return cfg.Expand(func(m config.Model) ([]config.Model, error) {
		if m.Kind != config.KindLadder || strings.Contains(m.Preset, "/") {
			return []config.Model{m}, nil
		}
		rungs, err := synth.Rungs(m.Preset, 0)
		if err != nil {
			return nil, err
		}
		var out []config.Model
		for _, r := range rungs {
			_, rung, _ := strings.Cut(r.Name, "/")
			one := m
			one.Name, one.Preset = m.Name+"-"+rung, r.Name
			one.Source = r.Source()
			out = append(out, one)
		}
		return out, nil
	})
}

// LeaveOutLarger removes the models of more than max parameters. One that was
// chosen by name is an error instead.
func (ms *Folder) LeaveOutLarger(cfg *config.Config, max int64, chosen []string) error {
	err := cfg.Expand(func(m config.Model) ([]config.Model, error) {
		for _, b := range cfg.Backends {
			if !cfg.Runs(m, b) {
				continue
			}
			got, err := ms.Resolve(m, b)
			switch {
			case err != nil:
				return nil, err
			case got.Desc.ParamsTotal <= max:
			case slices.Contains(chosen, m.Name):
				return nil, fmt.Errorf("it has %d parameters, more than --max-params, but was chosen by name; want one of the two", got.Desc.ParamsTotal)
			default:
				return nil, nil
			}
			break // a type changes the bytes, not the parameters
		}
		return []config.Model{m}, nil
	})
	if err == nil && len(cfg.Models) == 0 {
		err = fmt.Errorf("no model has at most %d parameters: choose a larger --max-params", max)
	}
	return err
}
