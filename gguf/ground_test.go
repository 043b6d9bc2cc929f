package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ground is the valid file from which the mutants of these tests are made, and the place of each of its fields.
type ground struct {
	file    []byte
	entries []Entry
	tensors []Tensor
	fields  []field        // in the file's order, without gaps, up to the end of the tensor table
	index   map[string]int // into fields, by name
}

// field is one number or string of the file. Its name is that of its key or tensor and its part, as in
// "gpt2.block_count/type" or "tokenizer.ggml.tokens/7/len"; the header's fields have the part alone.
type field struct {
	name, owner string
	entry       string // what errors call the owner while its name is not yet known: "metadata entry 3", "tensor 5"
	at, size    int64
}

// spot is what the error about a mutant must point at: a byte of [from, to), if to is not 0, and, if not empty, a name.
type spot struct {
	from, to int64
	name     string
}

type mutant struct {
	name string
	file []byte
	want spot
}

// newGround writes a GPT-2 in the layout of real files, with two layers and a vocabulary of 657 tokens.
func newGround(t *testing.T) *ground {
	t.Helper()
	const embd, ctx, layers, bytesAlone, nMerges = 48, 64, 2, 256, 400
	var tokens, merges []string
	for i := range bytesAlone {
		tokens = append(tokens, string(rune(0x100+i)))
	}
	for i := range nMerges {
		left, right := tokens[i*7%len(tokens)], tokens[i*i%bytesAlone]
		tokens, merges = append(tokens, left+right), append(merges, left+" "+right)
	}
	tokens = append(tokens, "<|endoftext|>")
	vocab := len(tokens)
	scores, types := make([]float32, vocab), make([]int32, vocab)
	for i := range vocab {
		scores[i], types[i] = -float32(i)-1, 1
	}
	g := &ground{index: map[string]int{}, entries: []Entry{
		{"general.architecture", "gpt2"}, {"general.name", "Tiny GPT-2"}, {"general.tags", []string{"text-generation", "test"}},
		{"general.alignment", uint32(32)}, {"general.file_type", uint32(1)},
		{"gpt2.context_length", uint32(ctx)}, {"gpt2.embedding_length", uint32(embd)}, {"gpt2.feed_forward_length", uint32(4 * embd)}, {"gpt2.block_count", uint32(layers)},
		{"gpt2.attention.head_count", uint32(4)}, {"gpt2.attention.head_count_kv", []int32{4, 4}}, {"gpt2.attention.layer_norm_epsilon", float32(1e-5)},
		{"tokenizer.ggml.model", "gpt2"}, {"tokenizer.ggml.tokens", tokens}, {"tokenizer.ggml.scores", scores}, {"tokenizer.ggml.token_type", types}, {"tokenizer.ggml.merges", merges},
		{"tokenizer.ggml.bos_token_id", uint32(vocab - 1)}, {"tokenizer.ggml.eos_token_id", uint32(vocab - 1)}, {"tokenizer.ggml.add_bos_token", true},
	}}
	specs := []Spec{{"token_embd.weight", F16, []int64{embd, int64(vocab)}}, {"position_embd.weight", F32, []int64{embd, ctx}}}
	both := func(name string, in, out int64) {
		specs = append(specs, Spec{name + ".weight", F16, []int64{in, out}}, Spec{name + ".bias", F32, []int64{out}})
	}
	norm := func(name string) {
		specs = append(specs, Spec{name + ".weight", F32, []int64{embd}}, Spec{name + ".bias", F32, []int64{embd}})
	}
	norm("output_norm")
	for i := range layers {
		blk := fmt.Sprintf("blk.%d.", i)
		norm(blk + "attn_norm")
		both(blk+"attn_qkv", embd, 3*embd)
		both(blk+"attn_output", embd, embd)
		norm(blk + "ffn_norm")
		both(blk+"ffn_up", embd, 4*embd)
		both(blk+"ffn_down", 4*embd, embd)
	}
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	w, err := Create(path, g.entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, x := range w.tensors {
		data := make([]byte, x.Size)
		for i := range data {
			data[i] = byte(i%251 + 1) // no zeros, which could pass for padding
		}
		out, err := w.Tensor(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	g.tensors = w.tensors
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if g.file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	g.walk()
	if err := g.probe(t, g.file); err != nil {
		t.Fatal(err)
	}
	return g
}

// walk notes the fields. It believes every length, so that it has nothing in common with the reader under test.
func (g *ground) walk() {
	pos := int64(0)
	owner, entry, first := "", "", 0
	take := func(part string, n int64) uint64 {
		b := g.file[pos : pos+n]
		g.fields = append(g.fields, field{part, owner, entry, pos, n})
		pos += n
		if n > 8 {
			return 0
		}
		return binary.LittleEndian.Uint64(append(slices.Clone(b), make([]byte, 8-n)...))
	}
	text := func(length, part string) string {
		n := int64(take(length, 8))
		take(part, n)
		return string(g.file[pos-n : pos])
	}
	named := func() { // gives the entry's fields its name, which stands in the entry
		for i := range g.fields[first:] {
			f := &g.fields[first+i]
			f.name, f.owner = owner+"/"+f.name, owner
		}
	}
	take("magic", 4)
	take("version", 4)
	nTensors, nKeys := take("tensors", 8), take("keys", 8)
	size := [...]int64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8} // of one value, by type; strings and arrays are apart
	for i := range nKeys {
		entry, first = fmt.Sprintf("metadata entry %d", i), len(g.fields)
		owner = text("namelen", "name")
		switch typ := ValueType(take("type", 4)); typ {
		case String:
			text("len", "value")
		case Array:
			elem, n := ValueType(take("elem", 4)), int64(take("count", 8))
			if elem == String {
				for j := range n {
					text(fmt.Sprintf("%d/len", j), fmt.Sprintf("%d", j))
				}
			} else {
				take("value", n*size[elem])
			}
		default:
			take("value", size[typ])
		}
		named()
	}
	for i := range nTensors {
		entry, first = fmt.Sprintf("tensor %d", i), len(g.fields)
		owner = text("namelen", "name")
		for j := range take("ndims", 4) {
			take(fmt.Sprintf("dim%d", j), 8)
		}
		take("type", 4)
		take("offset", 8)
		named()
	}
	for i, f := range g.fields {
		g.index[f.name] = i
	}
}

// probe is all that reads a file: the error of Open, of Account, or of reading a value as what the valid file has.
func (g *ground) probe(t *testing.T, file []byte) error {
	f, err := readRaw(file)
	if err != nil {
		return err
	}
	if _, err := Account(t, f); err != nil {
		return err
	}
	for _, e := range g.entries {
		switch e.Value.(type) {
		case string:
			_, err = f.Text(e.Key)
		case bool:
			_, err = f.Bool(e.Key)
		case float32:
			_, err = f.Float(e.Key)
		case uint32:
			_, err = f.Int(e.Key)
		case []string:
			_, err = f.Strings(e.Key)
		case []int32:
			_, err = f.Ints(e.Key)
		case []float32:
			_, err = f.Floats(e.Key)
		default:
			err = fmt.Errorf("the test does not read %T", e.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *ground) field(name string) field {
	i, ok := g.index[name]
	if !ok {
		panic("no field " + name)
	}
	return g.fields[i]
}

func (g *ground) get(name string) uint64 {
	f := g.field(name)
	return binary.LittleEndian.Uint64(append(slices.Clone(g.file[f.at:f.at+f.size]), make([]byte, 8-f.size)...))
}

// set is the file with another number in one field.
func (g *ground) set(name string, v uint64) []byte {
	f := g.field(name)
	return g.put(f.at, string(binary.LittleEndian.AppendUint64(nil, v)[:f.size]))
}

func (g *ground) put(at int64, s string) []byte {
	b := slices.Clone(g.file)
	copy(b[at:], s)
	return b
}

// splice is the file with some bytes of it replaced by others, more or fewer.
func (g *ground) splice(at, drop int64, insert []byte) []byte {
	return slices.Concat(g.file[:at], insert, g.file[at+drop:])
}

// The four spots: the field and its owner, the field and the owner's number, anywhere as long as the owner is named,
// and any byte of the owner's entry.
func (g *ground) on(name string) spot {
	f := g.field(name)
	if f.owner == "" { // in the header
		return spot{from: f.at, to: f.at + f.size}
	}
	return spot{f.at, f.at + f.size, strconv.Quote(f.owner)}
}

func (g *ground) numbered(name string) spot {
	f := g.field(name)
	return spot{f.at, f.at + f.size, f.entry}
}

func (g *ground) owner(name string) spot { return spot{name: strconv.Quote(g.field(name).owner)} }

func (g *ground) within(name string) spot {
	f := g.field(name)
	s := spot{from: f.at, to: f.at + f.size}
	for _, o := range g.fields {
		if o.owner == f.owner {
			s.from, s.to = min(s.from, o.at), max(s.to, o.at+o.size)
		}
	}
	return s
}

// says checks that an error points where it should.
func (s spot) says(err error) error {
	if s.to == 0 && s.name == "" {
		return errors.New("the test asks nothing of the error")
	}
	var fe *FormatError
	if s.to > 0 && (!errors.As(err, &fe) || fe.Offset < s.from || fe.Offset >= s.to) {
		return fmt.Errorf("want an error at a byte from %d to %d", s.from, s.to-1)
	}
	// The name may be a number, so a digit must not follow.
	_, rest, found := strings.Cut(err.Error(), s.name)
	if !found || rest != "" && '0' <= rest[0] && rest[0] <= '9' {
		return fmt.Errorf("want an error that names %s", s.name)
	}
	return nil
}
