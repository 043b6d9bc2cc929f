// Package archs has one small model, or a few, of each architecture that llama.cpp knows, and what llama.cpp itself
// tells of it. Package gguf's descriptions are held against that: by its own tests from the account that is kept
// here, by the tests of package native from llama.cpp as it runs. docs/models.md shows the outcome.
//
// The models (models.txt) were found by asking the loader: native/discover_test.go adds what llama.cpp says is
// missing until it loads. They have widths of a few dozen elements and weights of zero.
package archs

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
)

//go:embed models.txt
var modelsText string

// Model is a small model: what its file holds. Where only the header matters, that is the whole file.
type Model struct {
	Arch    string // general.architecture
	Variant string // what sets it apart from others of the architecture; "" for the plain one
	Keys    []Key
	Tensors []gguf.Spec
}

// Key is an entry of the metadata. Its value is written as in models.txt: 3 (uint32), 1e-05 (float32: has a point or
// an exponent), true, "text", or numbers in brackets for an array. Name lacks the architecture, unless it begins
// with "tokenizer.", "general." or "xielu.".
type Key struct{ Name, Value string }

// Name is the architecture and the variant.
func (m *Model) Name() string { return strings.TrimSpace(m.Arch + " " + m.Variant) }

// All returns the models in the order of their names.
func All() ([]Model, error) { return Parse(modelsText) }

// Entries returns the metadata as it is written.
func (m *Model) Entries() ([]gguf.Entry, error) {
	out := []gguf.Entry{{Key: "general.architecture", Value: m.Arch}}
	for _, k := range m.Keys {
		v, err := k.value()
		if err != nil {
			return nil, fmt.Errorf("%s: key %s is %q: %w", m.Name(), k.Name, k.Value, err)
		}
		name := k.Name
		if !strings.HasPrefix(name, "tokenizer.") && !strings.HasPrefix(name, "general.") && !strings.HasPrefix(name, "xielu.") {
			name = m.Arch + "." + name
		}
		out = append(out, gguf.Entry{Key: name, Value: v})
	}
	return out, nil
}

func (k Key) value() (any, error) {
	v := k.Value
	number := func(s string) (any, error) {
		if strings.ContainsAny(s, ".e") {
			f, err := strconv.ParseFloat(s, 32)
			return float32(f), err
		}
		n, err := strconv.ParseUint(s, 10, 32)
		return uint32(n), err
	}
	switch {
	case v == "true" || v == "false":
		return v == "true", nil
	case strings.HasPrefix(v, `"`):
		return strconv.Unquote(v)
	case strings.HasPrefix(v, "["):
		var ints []uint32
		var floats []float32
		for s := range strings.SplitSeq(strings.Trim(v, "[]"), ",") {
			n, err := number(s)
			if err != nil {
				return nil, err
			}
			switch n := n.(type) {
			case uint32:
				ints = append(ints, n)
			case float32:
				floats = append(floats, n)
			}
		}
		if floats != nil {
			return floats, nil
		}
		return ints, nil
	}
	return number(v)
}

// Write writes the model's file: the header, and behind it a hole of the weights' size, which read as zeros.
func (m *Model) Write(path string) error {
	f, err := m.Preview()
	if err != nil {
		return err
	}
	header, err := io.ReadAll(f.Header())
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, header, 0o666); err != nil {
		return err
	}
	return os.Truncate(path, f.Size)
}

// Preview is the model's file without writing it.
func (m *Model) Preview() (*gguf.File, error) {
	entries, err := m.Entries()
	if err != nil {
		return nil, err
	}
	return gguf.Preview(entries, m.Tensors)
}

// Describe is the description of the model's file.
func (m *Model) Describe() (ledger.Description, error) {
	f, err := m.Preview()
	if err != nil {
		return ledger.Description{}, err
	}
	return ledger.Describe(f)
}

// Parse reads models as Format writes them.
func Parse(text string) ([]Model, error) {
	var models []Model
	section := "" // what the words of the current line are: "keys", or the beginning of tensors' names with a % for the layer
	var layers []int
	for i, line := range strings.Split(text, "\n") {
		fail := func(what string) ([]Model, error) {
			return nil, fmt.Errorf("models.txt:%d: %s in %q", i+1, what, line)
		}
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			arch, variant, _ := strings.Cut(strings.Trim(line, "[]"), " ")
			models = append(models, Model{Arch: arch, Variant: variant})
			continue
		}
		if len(models) == 0 {
			return fail("no [architecture] yet")
		}
		m := &models[len(models)-1]
		if line[0] != ' ' { // not the continuation of the line before
			name, ok := strings.CutSuffix(words[0], ":")
			if !ok {
				return fail("no name with a colon")
			}
			section, layers = name, nil
			words = words[1:]
			if prefix, span, ok := strings.Cut(name, "@"); ok {
				section = prefix + ".%."
				first, last, isSpan := strings.Cut(span, "-")
				if !isSpan {
					last = first
				}
				a, err := strconv.Atoi(first)
				b, err2 := strconv.Atoi(last)
				if err != nil || err2 != nil || b < a {
					return fail("no layers")
				}
				for l := a; l <= b; l++ {
					layers = append(layers, l)
				}
			} else if name != "keys" {
				section = ""
			}
		}
		for _, w := range words {
			if section == "keys" {
				k, v, ok := strings.Cut(w, "=")
				if !ok {
					return fail("no key=value")
				}
				m.Keys = append(m.Keys, Key{k, v})
				continue
			}
			spec, err := parseTensor(w)
			if err != nil {
				return fail(err.Error())
			}
			if layers == nil {
				m.Tensors = append(m.Tensors, spec)
			}
			for _, l := range layers {
				s := spec
				s.Name = strings.Replace(section, "%", strconv.Itoa(l), 1) + spec.Name
				m.Tensors = append(m.Tensors, s)
			}
		}
	}
	return models, nil
}

// parseTensor reads name:type:dims, as attn_q.weight:f16:64x32.
func parseTensor(w string) (gguf.Spec, error) {
	part := strings.Split(w, ":")
	if len(part) != 3 {
		return gguf.Spec{}, fmt.Errorf("%q is not name:type:dims", w)
	}
	t, err := gguf.ParseType(part[1])
	s := gguf.Spec{Name: part[0], Type: t}
	for d := range strings.SplitSeq(part[2], "x") {
		n, err := strconv.ParseInt(d, 10, 64)
		if err != nil {
			return s, err
		}
		s.Dims = append(s.Dims, n)
	}
	return s, err
}

// Format writes models as Parse reads them; layers with equal tensors share a line.
func Format(models []Model) string {
	models = slices.Clone(models)
	slices.SortFunc(models, func(a, b Model) int { return strings.Compare(a.Name(), b.Name()) })
	var b strings.Builder
	for i := range models {
		m := &models[i]
		fmt.Fprintf(&b, "\n[%s]\n", m.Name())
		var keys []string
		for _, k := range m.Keys {
			keys = append(keys, k.Name+"="+k.Value)
		}
		wrap(&b, "keys", keys)
		var top []string
		var prefixes []string // of layers, in the order met
		blocks := map[string]map[int][]string{}
		for _, s := range m.Tensors {
			prefix, layer, rest := SplitName(s.Name)
			if layer < 0 {
				top = append(top, tensorWord(s.Name, s))
				continue
			}
			if blocks[prefix] == nil {
				prefixes = append(prefixes, prefix)
				blocks[prefix] = map[int][]string{}
			}
			blocks[prefix][layer] = append(blocks[prefix][layer], tensorWord(rest, s))
		}
		wrap(&b, "model", top)
		for _, p := range prefixes {
			layers := blocks[p]
			for l := 0; len(layers) > 0; l++ {
				words, ok := layers[l]
				if !ok {
					continue
				}
				last := l
				for ; slices.Equal(layers[last], words); last++ {
					delete(layers, last)
				}
				name := fmt.Sprintf("%s@%d", p, l)
				if last--; last > l {
					name += fmt.Sprintf("-%d", last)
				}
				wrap(&b, name, words)
			}
		}
	}
	return b.String()
}

// SplitName cuts a tensor's name "enc.blk.3.attn_q.weight" into "enc.blk", 3 and "attn_q.weight"; the layer is -1 if
// it belongs to none.
func SplitName(name string) (prefix string, layer int, rest string) {
	at := strings.Index(name, "blk.")
	if at < 0 {
		return "", -1, name
	}
	number, rest, _ := strings.Cut(name[at+4:], ".")
	n, err := strconv.Atoi(number)
	if err != nil {
		return "", -1, name
	}
	return name[:at+3], n, rest
}

func tensorWord(name string, s gguf.Spec) string {
	dims := make([]string, len(s.Dims))
	for i, d := range s.Dims {
		dims[i] = strconv.FormatInt(d, 10)
	}
	return name + ":" + s.Type.String() + ":" + strings.Join(dims, "x")
}

func wrap(b *strings.Builder, name string, words []string) {
	if len(words) == 0 {
		return
	}
	b.WriteString(name + ":")
	column := len(name) + 1
	for _, w := range words {
		if column+1+len(w) > 150 {
			b.WriteString("\n ")
			column = 1
		}
		b.WriteString(" " + w)
		column += 1 + len(w)
	}
	b.WriteByte('\n')
}

// NotDescribed are architectures that llama.cpp knows and that somebody looked at: they have no small model here, and
// are described as unknown ones. Their layers are of kinds that no other has (indexers and compressed caches, KDA and
// lightning attention, loops, drafts for other models, sound), or need more than the loader's complaints tell.
var NotDescribed = words(`bailingmoe3 deepseek32 deepseek4 dflash dots3note eagle3 gemma4-assistant glm-dsa glm5-next graniteswitch hrm_text hy_v4
	kimi-k3 kimi-linear laguna llama-embed minimax-01 minimax-m3 pockettts qwen4exp`)

func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}
