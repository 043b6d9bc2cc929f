package ledger

import (
	"errors"
	"regexp"
	"strings"

	"llmscale/gguf"
)

// Label is the quantization that a model is called by, and how much of it is stored in the type that this names. A
// label is a promise of whoever wrote the file: a mixture keeps some matrices larger, matrices whose rows do not fill
// the type's blocks have another, and names outlive what they were given to.
type Label struct {
	Name   string    `json:"name"`   // as llama.cpp's quantiser calls it, for instance "Q4_K_M"
	Source string    `json:"source"` // where it stands: "general.file_type", "general.name" or "file name"
	Type   gguf.Type `json:"type"`   // that the label gives to matrices, unless there is a reason for another

	Layers        int64   `json:"n_layer"`              // that have matrices
	LayersOfType  int64   `json:"n_layer_of_type"`      // in which Type holds more weights than any other type
	ShareOfLayers float64 `json:"layers_weights_share"` // of the weights of the layers' matrices, how many are of Type
	ShareOfAll    float64 `json:"weights_share"`        // the same over all matrices, the embedding and the head among them

	// Others are labels that the file has in other places and that name another quantization.
	Others []OtherLabel `json:"others,omitempty"`
}

// OtherLabel is a label beside the one that counts.
type OtherLabel struct {
	Name   string `json:"name"`
	Source string `json:"source"`
}

// fileTypes are the numbers of general.file_type: llama.cpp's enum llama_ftype
// (https://github.com/ggml-org/llama.cpp/blob/0c1e57098/include/llama.h), with the type that its quantiser gives
// to matrices (https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-quant.cpp#L538).
var fileTypes = map[int64]struct {
	name string
	typ  gguf.Type
}{
	0: {"F32", gguf.F32}, 1: {"F16", gguf.F16}, 2: {"Q4_0", gguf.Q4_0}, 3: {"Q4_1", gguf.Q4_1}, 7: {"Q8_0", gguf.Q8_0}, 8: {"Q5_0", gguf.Q5_0}, 9: {"Q5_1", gguf.Q5_1},
	10: {"Q2_K", gguf.Q2_K}, 11: {"Q3_K_S", gguf.Q3_K}, 12: {"Q3_K_M", gguf.Q3_K}, 13: {"Q3_K_L", gguf.Q3_K}, 14: {"Q4_K_S", gguf.Q4_K}, 15: {"Q4_K_M", gguf.Q4_K},
	16: {"Q5_K_S", gguf.Q5_K}, 17: {"Q5_K_M", gguf.Q5_K}, 18: {"Q6_K", gguf.Q6_K}, 19: {"IQ2_XXS", gguf.IQ2XXS}, 20: {"IQ2_XS", gguf.IQ2XS}, 21: {"Q2_K_S", gguf.Q2_K},
	22: {"IQ3_XS", gguf.IQ3S}, 23: {"IQ3_XXS", gguf.IQ3XXS}, 24: {"IQ1_S", gguf.IQ1S}, 25: {"IQ4_NL", gguf.IQ4NL}, 26: {"IQ3_S", gguf.IQ3S}, 27: {"IQ3_M", gguf.IQ3S},
	28: {"IQ2_S", gguf.IQ2XS}, 29: {"IQ2_M", gguf.IQ2S}, 30: {"IQ4_XS", gguf.IQ4XS}, 31: {"IQ1_M", gguf.IQ1M}, 32: {"BF16", gguf.BF16}, 36: {"TQ1_0", gguf.TQ1_0},
	37: {"TQ2_0", gguf.TQ2_0}, 38: {"MXFP4_MOE", gguf.MXFP4}, 39: {"NVFP4", gguf.NVFP4}, 40: {"Q1_0", gguf.Q1_0}, 41: {"Q2_0", gguf.Q2_0},
}

// labelForm finds labels in names: those above, and mixtures of K-quants under names of others ("Q4_K_XL"). A label
// stands by itself between what is no letter or digit.
var labelForm = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(i?q[1-8]_(?:k(?:_[a-z]{1,2})?|xxs|xs|nl|s|m|[01])|tq[12]_0|mxfp4(?:_moe)?|nvfp4|bf16|f16|f32)(?:$|[^a-z0-9_])`)

// labelIn returns the last label in a name and the type that it names; ok is false where there is none.
func labelIn(name string) (label string, typ gguf.Type, ok bool) {
	// The form takes a character on either side, so two labels that share one are found one by one.
	for at := 0; ; {
		m := labelForm.FindStringSubmatchIndex(name[at:])
		if m == nil {
			return label, typ, ok
		}
		found := strings.ToUpper(name[at+m[2] : at+m[3]])
		at += m[3]
		if t, known := labelType(found); known {
			label, typ, ok = found, t, true
		}
	}
}

// sameLabel tells whether one of two labels is the other or leaves out which mixture of its type it is ("Q4_K").
func sameLabel(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"_") || strings.HasPrefix(b, a+"_")
}

func labelType(label string) (gguf.Type, bool) {
	if label == "MXFP4" {
		return gguf.MXFP4, true
	}
	for _, f := range fileTypes {
		if f.name == label {
			return f.typ, true
		}
	}
	if stem, _, mixture := strings.Cut(label, "_K"); mixture {
		t, err := gguf.ParseType(stem + "_K")
		return t, err == nil && t != gguf.Q8_K // the type of intermediate results
	}
	return 0, false
}

// LabelOf says by which quantization a file is called and what share of it has that type; nil where nothing calls it
// so. general.file_type counts before a name: it was written with the weights. It fails if that key is no integer.
func LabelOf(f *gguf.File) (*Label, error) {
	var l *Label
	add := func(name, source string, typ gguf.Type) {
		if l == nil {
			l = &Label{Name: name, Source: source, Type: typ}
		} else if !sameLabel(name, l.Name) {
			l.Others = append(l.Others, OtherLabel{name, source})
		}
	}
	number, err := f.Int("general.file_type")
	if err == nil {
		const guessed = 1024 // llama.cpp's mark for a number that was not in the file, should one have been written
		if t, ok := fileTypes[number&^guessed]; ok {
			add(t.name, "general.file_type", t.typ)
		}
	} else if !errors.Is(err, gguf.ErrNoKey) {
		return nil, err
	}
	name, err := f.Text("general.name")
	if err != nil && !errors.Is(err, gguf.ErrNoKey) {
		return nil, err
	}
	if label, typ, ok := labelIn(name); ok {
		add(label, "general.name", typ)
	}
	if label, typ, ok := labelIn(fileName(gguf.Stem(f.Path))); ok {
		add(label, "file name", typ)
	}
	if l != nil {
		l.count(f)
	}
	return l, nil
}

func fileName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// count fills in the shares. Vectors are f32 in every quantization, and no label speaks of them.
func (l *Label) count(f *gguf.File) {
	layers := map[int64]map[gguf.Type]int64{}
	var inLayers, inLayersOfType, all, allOfType int64
	for i := range f.Tensors {
		t := &f.Tensors[i]
		if t.Elements == t.Dims[0] || IsRopeTable(t.Name) || isForeign(t.Name) {
			continue
		}
		all += t.Elements
		if t.Type == l.Type {
			allOfType += t.Elements
		}
		number, _ := layerOf(t.Name)
		if number < 0 {
			continue
		}
		inLayers += t.Elements
		if t.Type == l.Type {
			inLayersOfType += t.Elements
		}
		if layers[number] == nil {
			layers[number] = map[gguf.Type]int64{}
		}
		layers[number][t.Type] += t.Elements
	}
	l.Layers = int64(len(layers))
	for _, types := range layers {
		most := true
		for typ, n := range types {
			most = most && (typ == l.Type || n < types[l.Type])
		}
		if most {
			l.LayersOfType++
		}
	}
	if inLayers > 0 {
		l.ShareOfLayers = float64(inLayersOfType) / float64(inLayers)
	}
	if all > 0 {
		l.ShareOfAll = float64(allOfType) / float64(all)
	}
}
