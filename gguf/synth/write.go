package synth

import (
	"fmt"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/draw"
)

// version stands in every file and changes whenever the same shape, type and seed would give other bytes.
const version = 1

// Options says what to write. The zero value is f32 weights from seed 0.
type Options struct {
	Type string // one of Types, in any letter case; "": f32, or a twin's own types
	Seed uint64

	// Progress, if not nil, is called now and then from the goroutine that called Write, with the bytes of
	// tensor data written so far and in all.
	Progress func(doneBytes, totalBytes int64)

	Written *gguf.Written // if not nil, the file is hashed while it is written, and Write fills this in
}

// Model is what can be written: a Shape or a *Twin.
type Model interface {
	Label() string // a name for files
	contents(Options) ([]gguf.Entry, []draw.Tensor, error)
	weightSeed(seed uint64) uint64 // of the generator, from the one asked for
	checkTarget(path string) error // refuses a path that must not be written over
}

// fileTypes are the types of a shape's matrices, and llama.cpp's numbers for files of them (enum llama_ftype; of its
// mixtures q4_K_S is the nearest to q4_K alone). mxfp4 is for the experts of a mixture.
var fileTypes = []struct {
	typ    gguf.Type
	number uint32
}{
	{gguf.F32, 0}, {gguf.F16, 1}, {gguf.BF16, 32}, {gguf.Q8_0, 7}, {gguf.Q4_0, 2}, {gguf.Q4_K, 14}, {gguf.Q6_K, 18}, {gguf.MXFP4, 38},
}

// Types lists the names of the types that a shape can be written in.
func Types() []string {
	out := make([]string, len(fileTypes))
	for i, t := range fileTypes {
		out[i] = t.typ.String()
	}
	return out
}

// ParseType returns the name of a type as Types has it, from any letter case.
func ParseType(name string) (string, error) {
	t, _, err := parseType(name)
	return t.String(), err
}

func parseType(name string) (gguf.Type, uint32, error) {
	if name == "" {
		name = "f32"
	}
	for _, t := range fileTypes {
		if strings.EqualFold(t.typ.String(), name) {
			return t.typ, t.number, nil
		}
	}
	return 0, 0, fmt.Errorf("synth: cannot write weights as %q; want one of %s", name, strings.Join(Types(), ", "))
}

func (s Shape) checkTarget(string) error { return nil }

func (s Shape) weightSeed(seed uint64) uint64 { return seed }

// contents returns what the file is made of.
func (s Shape) contents(opt Options) ([]gguf.Entry, []draw.Tensor, error) {
	typ, number, err := parseType(opt.Type)
	if err == nil {
		err = s.check()
	}
	if err == nil && typ == gguf.MXFP4 && s.NExpert == 0 {
		err = fmt.Errorf("synth: %s has no experts; mxfp4 is their type alone", s.Name)
	}
	if err != nil {
		return nil, nil, err
	}
	l := s.layout(typ)
	v := vocabularyOf(s.NVocab)
	entries := []gguf.Entry{
		{Key: "general.architecture", Value: s.Arch},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: s.Label()},
		{Key: "general.description", Value: "Random weights, for measuring speed. What it says has no meaning."},
		{Key: "general.file_type", Value: number},
	}
	architectures[s.Arch].metadata(s, func(key string, value any) {
		entries = append(entries, gguf.Entry{Key: s.Arch + "." + key, Value: value})
	})
	entries = append(entries,
		gguf.Entry{Key: "llmscale.synth.preset", Value: s.Label()},
		gguf.Entry{Key: "llmscale.synth.seed", Value: opt.Seed},
		gguf.Entry{Key: "llmscale.synth.version", Value: uint32(version)},
	)
	if info, _ := typ.Info(); info.BlockSize > 1 {
		entries = append(entries, gguf.Entry{Key: "general.quantization_version", Value: uint32(2)}) // GGML_QNT_VERSION
	}
	if len(l.fallback) > 0 {
		entries = append(entries, gguf.Entry{Key: "llmscale.fallback_tensors", Value: l.fallback})
	}
	entries = append(entries,
		gguf.Entry{Key: "tokenizer.ggml.model", Value: "gpt2"},
		gguf.Entry{Key: "tokenizer.ggml.pre", Value: "gpt-2"},
		gguf.Entry{Key: "tokenizer.ggml.tokens", Value: v.tokens},
		gguf.Entry{Key: "tokenizer.ggml.token_type", Value: v.types},
		gguf.Entry{Key: "tokenizer.ggml.merges", Value: v.merges},
		gguf.Entry{Key: "tokenizer.ggml.bos_token_id", Value: v.endOfText},
		gguf.Entry{Key: "tokenizer.ggml.eos_token_id", Value: v.endOfText},
		gguf.Entry{Key: "tokenizer.ggml.add_bos_token", Value: false},
	)
	return entries, l.tensors, nil
}

func specs(ts []draw.Tensor) []gguf.Spec {
	out := make([]gguf.Spec, len(ts))
	for i, t := range ts {
		out[i] = t.Spec
	}
	return out
}

// CheckTarget refuses a path that Write would refuse for what stands there: the original of a twin.
func CheckTarget(path string, m Model) error { return m.checkTarget(path) }

// Write makes the file at path. An existing file is replaced once the new one is whole. Memory stays below
// some tens of MiB, and a twin's vocabulary, whatever the model's size.
func Write(path string, m Model, opt Options) error {
	entries, ts, err := m.contents(opt)
	if err != nil {
		return err
	}
	if err := m.checkTarget(path); err != nil {
		return err
	}
	w, err := gguf.CreateHashed(path, entries, specs(ts), opt.Written)
	if err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	defer w.Close()
	if err := draw.Stream(w, ts, m.weightSeed(opt.Seed), opt.Progress); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	if err := w.Finish(); err != nil {
		return fmt.Errorf("synth: %w", err)
	}
	return nil
}
