// Package synth writes models with random weights as GGUF files that llama.cpp loads: the GPT-2 set of the TR121
// study, the shapes of well-known models, ladders of one architecture at many sizes, and twins of other files.
//
// How long a model takes does not depend on what its weights say, only on their number, shape and type; so a
// study of speed against size needs no downloads. docs/twins.md shows how far that was found to hold. Weights come
// from package draw: the same shape, type and seed give the same bytes. The vocabulary is a working byte-level BPE
// of GPT-2's form, so that text can be tokenised both ways; what such a model says has no meaning.
package synth

import (
	"fmt"
	"strings"

	"llmscale/gguf"
	"llmscale/internal/text"
)

// Shape is everything about a model but its weights. Shapes come from Lookup and Rungs; WithLayers and WithVocab
// change them.
type Shape struct {
	Kind string // "synth", "shape" or "ladder": where its name is known
	Name string // within the kind, for instance "llama3.1-8b"
	Arch string // llama.cpp's name of the architecture

	NLayer  int64
	NEmbd   int64 // width
	NHead   int64 // attention heads
	NHeadKV int64 // key/value heads
	HeadDim int64 // elements of one head's key and value
	NFF     int64 // inner width of the feed-forward; of one expert in a mixture
	NVocab  int64 // rows of the token embedding
	NCtx    int64 // tokens of context that the metadata states; for gpt2 the rows of the position table

	NExpert     int64 // experts per layer; 0 in a dense model
	NExpertUsed int64 // experts that each token passes through
	Window      int64 // tokens that layers with a sliding window attend to; 0: no layer has one
	Tied        bool  // the output head is the token embedding

	Rope Rope // zero for gpt2, whose positions are learned
}

// Rope is how rotary position embeddings are computed.
type Rope struct {
	Base float32 // of the angles' geometric sequence

	// How the angles are stretched for contexts beyond the one first trained: "" not at all, "linear", "yarn", or
	// "llama3", whose factors stand in a tensor of their own.
	Scaling    string
	Factor     float32
	TrainedCtx int64 // tokens of context before stretching
}

const gpt2Ctx = 1024

// GPT2 is a shape of the GPT-2 architecture: the feed-forward is four times the width, the head is tied, and the
// vocabulary has VocabSize tokens. The width is a multiple of the heads.
func GPT2(name string, layers, width, heads int64) Shape {
	return Shape{Kind: "synth", Name: name, Arch: "gpt2", NLayer: layers, NEmbd: width, NHead: heads, NHeadKV: heads,
		HeadDim: width / heads, NFF: 4 * width, NVocab: VocabSize, NCtx: gpt2Ctx, Tied: true}
}

// presets are GPT-2 shapes: first nine the models of the TR121 study and its forerunners, then OpenAI's larger ones.
var presets = []Shape{
	GPT2("tiny-gpt2", 2, 2, 2),
	GPT2("gpt2-1m", 3, 192, 3),
	GPT2("gpt2-5m", 12, 80, 2),
	GPT2("gpt2-25m", 3, 384, 2),
	GPT2("gpt2-45m", 6, 512, 8),
	GPT2("gpt2-50m", 8, 512, 2),
	GPT2("gpt2-75m", 5, 768, 2),
	GPT2("gpt2-100m", 8, 768, 2),
	GPT2("gpt2", 12, 768, 12),
	GPT2("gpt2-medium", 24, 1024, 16),
	GPT2("gpt2-large", 36, 1280, 20),
	GPT2("gpt2-xl", 48, 1600, 25),
}

// llama3 is a shape of the Llama 3 family. Its rope factors are those of the longer context of 3.1 and later.
func llama3(name string, layers, width, heads, headDim, ff int64, tied bool, ropeFactor float32) Shape {
	return Shape{Kind: "shape", Name: name, Arch: "llama", NLayer: layers, NEmbd: width, NHead: heads, NHeadKV: 8,
		HeadDim: headDim, NFF: ff, NVocab: 128_256, NCtx: 131_072, Tied: tied,
		Rope: Rope{Base: 500_000, Scaling: "llama3", Factor: ropeFactor, TrainedCtx: 8192}}
}

func qwen25(name string, layers, width, heads, headsKV, ff, vocab int64, tied bool) Shape {
	return Shape{Kind: "shape", Name: name, Arch: "qwen2", NLayer: layers, NEmbd: width, NHead: heads, NHeadKV: headsKV,
		HeadDim: width / heads, NFF: ff, NVocab: vocab, NCtx: 32_768, Tied: tied, Rope: Rope{Base: 1_000_000}}
}

func gemma3(name string, layers, width, heads, headsKV, ff, window, ctx int64, scale Rope) Shape {
	scale.Base = 1_000_000
	return Shape{Kind: "shape", Name: name, Arch: "gemma3", NLayer: layers, NEmbd: width, NHead: heads, NHeadKV: headsKV,
		HeadDim: 256, NFF: ff, NVocab: 262_144, NCtx: ctx, Window: window, Tied: true, Rope: scale}
}

// shapes are those of published models, from the config.json beside their weights. Gemma's 4B is the text model
// alone, without the 64 spare rows that its embedding has for images.
var shapes = []Shape{
	gemma3("gemma3-270m", 18, 640, 4, 1, 2048, 512, 32_768, Rope{}),
	qwen25("qwen2.5-0.5b", 24, 896, 14, 2, 4864, 151_936, true),
	gemma3("gemma3-1b", 26, 1152, 4, 1, 6912, 512, 32_768, Rope{}),
	llama3("llama3.2-1b", 16, 2048, 32, 64, 8192, true, 32),
	qwen25("qwen2.5-1.5b", 28, 1536, 12, 2, 8960, 151_936, true),
	llama3("llama3.2-3b", 28, 3072, 24, 128, 8192, true, 32),
	gemma3("gemma3-4b", 34, 2560, 8, 4, 10_240, 1024, 131_072, Rope{Scaling: "linear", Factor: 8}),
	qwen25("qwen2.5-7b", 28, 3584, 28, 4, 18_944, 152_064, false),
	llama3("llama3.1-8b", 32, 4096, 32, 128, 14_336, false, 8),
	{Kind: "shape", Name: "gpt-oss-20b", Arch: "gpt-oss", NLayer: 24, NEmbd: 2880, NHead: 64, NHeadKV: 8, HeadDim: 64,
		NFF: 2880, NVocab: 201_088, NCtx: 131_072, NExpert: 32, NExpertUsed: 4, Window: 128,
		Rope: Rope{Base: 150_000, Scaling: "yarn", Factor: 32, TrainedCtx: 4096}},
}

// Presets lists the GPT-2 shapes that "synth:" knows: first TR121's, then the larger ones.
func Presets() []Shape { return append([]Shape(nil), presets...) }

// Shapes lists the shapes of published models that "shape:" knows, by rising size.
func Shapes() []Shape { return append([]Shape(nil), shapes...) }

// Lookup finds a shape by kind and name: "synth:gpt2-5m" (the kind may be left out), "shape:llama3.1-8b",
// "ladder:llama/1.2b". The error for an unknown one names the nearest and lists all.
func Lookup(source string) (Shape, error) {
	kind, name, ok := strings.Cut(source, ":")
	if !ok {
		kind, name = "synth", source
	}
	var known []Shape
	switch kind {
	case "synth":
		known = presets
	case "shape":
		known = shapes
	case "ladder":
		family, rung, ok := strings.Cut(name, "/")
		rungs, err := Rungs(family, 0)
		if err != nil {
			return Shape{}, err
		}
		if !ok {
			return Shape{}, fmt.Errorf("synth: %s is a whole ladder; write one of its rungs: %s", source, strings.Join(names(rungs), ", "))
		}
		known, name = rungs, family+"/"+rung
	default:
		return Shape{}, fmt.Errorf("synth: no kind of shape %q; want synth:NAME, shape:NAME or ladder:FAMILY/RUNG", kind+":")
	}
	for _, s := range known {
		if s.Name == name {
			return s, nil
		}
	}
	what := map[string]string{"synth": "preset", "shape": "shape", "ladder": "rung"}[kind]
	near := text.Nearest(name, names(known))
	if other := elsewhere(kind, name); other != "" {
		near = other
	}
	hint := ""
	if near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return Shape{}, fmt.Errorf("synth: no %s %q%s; there are %s", what, name, hint, strings.Join(names(known), ", "))
}

// elsewhere finds a name that another kind knows.
func elsewhere(kind, name string) string {
	for _, list := range [][]Shape{presets, shapes} {
		for _, s := range list {
			if s.Name == name && s.Kind != kind {
				return s.Source()
			}
		}
	}
	return ""
}

func names(list []Shape) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.Name
	}
	return out
}

// Source is how the shape is called where a kind is needed, for instance "shape:llama3.1-8b". It does not tell
// what WithLayers and WithVocab changed; Label does.
func (s Shape) Source() string { return s.Kind + ":" + s.Name }

// Label is the shape's name in files. It begins with the kind unless that is "synth": a file of random weights
// must not be taken for the trained model.
func (s Shape) Label() string {
	name := strings.ReplaceAll(s.Name, "/", "-")
	if s.Kind != "synth" {
		name = s.Kind + "-" + name
	}
	return name
}

// WithLayers returns the shape at another depth, under a name that says so.
func (s Shape) WithLayers(n int64) Shape {
	if n != s.NLayer {
		s.Name += fmt.Sprintf("-%dlayers", n)
		s.NLayer = n
	}
	return s
}

// WithVocab returns the shape with another number of tokens, under a name that says so.
func (s Shape) WithVocab(n int64) Shape {
	if n != s.NVocab {
		s.Name += fmt.Sprintf("-vocab%d", n)
		s.NVocab = n
	}
	return s
}

// Params returns the number of weights, rope factors not counted.
func (s Shape) Params() int64 {
	sum := int64(0)
	for _, t := range s.layout(gguf.F32).tensors {
		if t.Values == nil {
			sum += elements(t.Dims)
		}
	}
	return sum
}

func elements(dims []int64) int64 {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return n
}

// fullAttention is the period, in layers, at which an architecture with sliding windows has a layer without.
var fullAttention = map[string]int64{"gemma3": 6, "gpt-oss": 2}

// check refuses shapes that llama.cpp could not load; a Shape need not come from Lookup.
func (s Shape) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("synth: %s: "+format, append([]any{s.Name}, args...)...)
	}
	switch {
	case s.Name == "":
		return fmt.Errorf("synth: the shape has no name")
	case architectures[s.Arch].tensors == nil:
		return bad("no architecture %q", s.Arch)
	case s.NLayer < 1 || s.NLayer > 512: // llama.cpp's LLAMA_MAX_LAYERS
		return bad("%d layers; want 1 to 512", s.NLayer)
	case s.NHead < 1 || s.NHeadKV < 1 || s.NHead%s.NHeadKV != 0:
		return bad("%d heads with %d key/value heads; want a multiple of them", s.NHead, s.NHeadKV)
	case s.NEmbd < 1 || s.NEmbd > 1<<20 || s.HeadDim < 1 || s.HeadDim > 1<<20 || s.NFF < 1 || s.NFF > 1<<22:
		return bad("width %d, head size %d, feed-forward %d; want 1 to 2^20 and a feed-forward up to 2^22", s.NEmbd, s.HeadDim, s.NFF)
	case s.Arch == "gpt2" && s.HeadDim*s.NHead != s.NEmbd:
		return bad("width %d with %d heads; want a multiple of the heads", s.NEmbd, s.NHead)
	case s.Window > 0 && s.NLayer < fullAttention[s.Arch]:
		// Without one, llama.cpp's cache for such layers is empty, and it aborts.
		return bad("%d layers; want at least %d: one without a sliding window", s.NLayer, fullAttention[s.Arch])
	case s.NCtx < 1 || s.NCtx > 1<<30:
		return bad("context of %d tokens; want 1 to 2^30", s.NCtx)
	case s.NVocab < MinVocab || s.NVocab > MaxVocab:
		return bad("vocabulary of %d tokens; want %d to %d", s.NVocab, MinVocab, MaxVocab)
	case s.Rope.Scaling == "llama3" && s.HeadDim%2 != 0:
		return bad("head size %d; rotary embeddings need an even one", s.HeadDim)
	}
	return nil
}
