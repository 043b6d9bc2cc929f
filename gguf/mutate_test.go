package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// huge are counts and lengths that no file has room for. Products with 2, 4 and 8 overflow in some of them.
var huge = []uint64{1 << 31, 1 << 32, 1 << 60, 1<<61 + 1, 1 << 62, 1<<63 - 1, 1 << 63, math.MaxUint64 - 7, math.MaxUint64}

func TestMutants(t *testing.T) {
	g := newGround(t)
	n, names := 0, map[string]bool{}
	for group, mutants := range map[string]func(*ground) []mutant{
		"header": headerMutants, "length": lengthMutants, "value": valueMutants, "array": arrayMutants, "name": nameMutants, "tensor": tensorMutants,
	} {
		for _, m := range mutants(g) {
			name := group + "/" + m.name
			if names[name] || bytes.Equal(m.file, g.file) {
				t.Errorf("%s is there twice or changes nothing", name)
			}
			names[name] = true
			n++
			t.Run(name, func(t *testing.T) {
				err := g.probe(t, m.file)
				if err == nil {
					t.Fatal("no error")
				}
				if bad := m.want.says(err); bad != nil {
					t.Errorf("%v\ngot  %.300v", bad, err)
				}
			})
		}
	}
	t.Logf("%d mutants", n)
}

func headerMutants(g *ground) (ms []mutant) {
	for _, s := range []string{"GGML", "GGUf", "FUGG", "gguf", "ggjt", "\x00\x00\x00\x00", "PK\x03\x04", "GGU\xc6"} {
		ms = append(ms, mutant{fmt.Sprintf("magic/%q", s), g.put(0, s), g.on("magic")})
	}
	for _, v := range []uint64{0, 1, 4, 5, 255, 1 << 31, math.MaxUint32, 2 << 24, 3 << 24, 3 << 16} {
		ms = append(ms, mutant{fmt.Sprintf("version/%d", v), g.set("version", v), g.on("version")})
	}
	swapped := slices.Clone(g.file)
	for _, name := range []string{"version", "tensors", "keys"} {
		f := g.field(name)
		slices.Reverse(swapped[f.at : f.at+f.size])
	}
	ms = append(ms, mutant{"byte-swapped", swapped, spot{4, 8, "big-endian"}})

	// Too small a count leaves a part of the table where padding or data should be, too large a one finds them there.
	nTensors, nKeys := g.get("tensors"), g.get("keys")
	last := g.fields[len(g.fields)-1]
	end := last.at + last.size
	for v := range nTensors {
		f := g.field(g.tensors[v].Name + "/namelen")
		if f.at%32 == 0 {
			continue // as the data might begin here, the shorter table is valid
		}
		ms = append(ms, mutant{fmt.Sprintf("tensors/%d", v), g.set("tensors", v), spot{f.at, f.at + 8, fmt.Sprintf("the %d of the header", v)}})
	}
	for _, v := range []uint64{nTensors + 1, 2 * nTensors, 1 << 16, maxTensors} {
		ms = append(ms, mutant{fmt.Sprintf("tensors/%d", v), g.set("tensors", v), spot{end, end + 8, fmt.Sprintf("tensor %d", nTensors)}})
	}
	for _, v := range append([]uint64{maxTensors + 1}, huge...) {
		ms = append(ms, mutant{fmt.Sprintf("tensors/%d", v), g.set("tensors", v), spot{8, 16, fmt.Sprint(v)}})
	}
	for i, e := range g.entries { // what follows the last key is read as a tensor, whose name then is a key
		if _, number := e.Value.(uint32); !number { // type 4 would pass for 4 dimensions
			ms = append(ms, mutant{fmt.Sprintf("keys/%d", i), g.set("keys", uint64(i)), g.on(e.Key + "/type")})
		}
	}
	for _, v := range []uint64{nKeys + 1, 2 * nKeys, maxKeys} { // the first tensor is read as a key
		ms = append(ms, mutant{fmt.Sprintf("keys/%d", v), g.set("keys", v), g.within(g.tensors[0].Name + "/ndims")})
	}
	for _, v := range append([]uint64{maxKeys + 1}, huge...) {
		ms = append(ms, mutant{fmt.Sprintf("keys/%d", v), g.set("keys", v), spot{16, 24, fmt.Sprint(v)}})
	}
	return ms
}

func lengthMutants(g *ground) (ms []mutant) {
	size := uint64(len(g.file))
	firstKey, lastKey := g.entries[0].Key, g.entries[len(g.entries)-1].Key
	add := func(part string, v uint64, want spot) {
		ms = append(ms, mutant{fmt.Sprintf("%s/%d", part, v), g.set(part, v), want})
	}
	// A name that is longer or shorter by one is seen at what follows it, and the name is wrong by one byte too.
	off := func(owner, next string) {
		n := g.get(owner + "/namelen")
		f := g.field(owner + "/" + next)
		add(owner+"/namelen", n+1, spot{f.at + 1, f.at + 2, strconv.Quote(owner)[:n]})
		add(owner+"/namelen", n-1, spot{f.at - 1, f.at, strconv.Quote(owner[:n-1])})
	}
	for _, key := range []string{firstKey, "gpt2.block_count", "tokenizer.ggml.tokens", lastKey} {
		for _, v := range append([]uint64{0, maxKeyBytes, maxKeyBytes + 1, size}, huge...) {
			add(key+"/namelen", v, g.numbered(key+"/namelen"))
		}
		off(key, "type")
	}
	for _, name := range []string{g.tensors[0].Name, "blk.0.ffn_up.bias", g.tensors[len(g.tensors)-1].Name} {
		for _, v := range append([]uint64{0, maxTensorName + 1, 1 << 16, size}, huge...) {
			add(name+"/namelen", v, g.numbered(name+"/namelen"))
		}
		off(name, "ndims")
	}
	for _, part := range []string{"general.architecture/len", "general.name/len", "tokenizer.ggml.model/len",
		"general.tags/1/len", "tokenizer.ggml.tokens/0/len", "tokenizer.ggml.tokens/300/len", "tokenizer.ggml.tokens/656/len", "tokenizer.ggml.merges/0/len", "tokenizer.ggml.merges/399/len"} {
		n, f := g.get(part), g.field(part)
		rest := size - uint64(f.at+f.size)
		for _, v := range append([]uint64{rest + 1, size}, huge...) {
			add(part, v, g.on(part))
		}
		for _, v := range []uint64{0, n - 1, n + 1, rest} { // seen where the next length should be
			if v != n-1 || n > 1 {
				add(part, v, g.owner(part))
			}
		}
	}
	return ms
}

func valueMutants(g *ground) (ms []mutant) {
	add := func(part string, v uint64, want spot) {
		ms = append(ms, mutant{fmt.Sprintf("%s/%d", part, v), g.set(part, v), want})
	}
	// By key: the types that would be right as well, as the getter takes them.
	for _, c := range []struct {
		part  string
		right []ValueType
	}{
		{"general.architecture/type", nil}, {"gpt2.block_count/type", []ValueType{Int32}}, {"gpt2.attention.layer_norm_epsilon/type", []ValueType{Uint32, Int32}},
		{"tokenizer.ggml.tokens/type", nil}, {"tokenizer.ggml.token_type/type", nil}, {"tokenizer.ggml.add_bos_token/type", nil}, {"general.alignment/type", nil},
		{"tokenizer.ggml.tokens/elem", nil}, {"tokenizer.ggml.scores/elem", []ValueType{Uint32, Int32}}, {"tokenizer.ggml.token_type/elem", []ValueType{Uint32}}, {"gpt2.attention.head_count_kv/elem", []ValueType{Uint32}},
	} {
		for _, v := range []uint64{13, 14, 255, 1 << 31, math.MaxUint32} {
			add(c.part, v, g.on(c.part))
		}
		for typ := range Float64 + 1 {
			if uint64(typ) == g.get(c.part) || slices.Contains(c.right, typ) {
				continue
			}
			want := g.owner(c.part)
			if strings.HasSuffix(c.part, "/elem") && typ == Array {
				want = g.on(c.part)
			} else if c.part == "general.alignment/type" {
				want.name = "general.alignment" // unquoted where it is refused as the alignment
			}
			add(c.part, uint64(typ), want)
		}
	}
	for _, key := range []string{"context_length", "embedding_length", "feed_forward_length", "block_count", "attention.head_count"} {
		for _, v := range []uint64{1<<31 + 1, math.MaxUint32} {
			add("gpt2."+key+"/value", v, g.on("gpt2."+key+"/value"))
		}
	}
	for _, v := range []uint64{0, 1, 3, 1 << 31} { // the heads of two layers no longer fit
		add("gpt2.block_count/value", v, spot{name: `"gpt2.attention.head_count_kv"`})
	}
	add("gpt2.attention.head_count_kv/value", math.MaxUint64, g.on("gpt2.attention.head_count_kv/value"))
	add("gpt2.attention.head_count_kv/value", 1<<63|4, g.on("gpt2.attention.head_count_kv/value"))
	for _, v := range []uint64{0, 3, 24, 33, 48, math.MaxUint32} {
		add("general.alignment/value", v, spot{g.on("general.alignment/value").from, g.on("general.alignment/value").to, "general.alignment"})
	}
	for _, v := range []uint64{128, 4096, 1 << 31} { // a power of two of which the tensors' offsets are no multiples
		add("general.alignment/value", v, spot{name: "a multiple of general.alignment"})
	}
	return ms
}

func arrayMutants(g *ground) (ms []mutant) {
	for _, key := range []string{"general.tags", "gpt2.attention.head_count_kv", "tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.merges"} {
		part := key + "/count"
		n, f := g.get(part), g.field(part)
		least := uint64(8)
		if _, ok := g.index[key+"/value"]; ok {
			least = 4
		}
		room := uint64(int64(len(g.file))-f.at-f.size) / least
		for _, v := range append([]uint64{room + 1, 1 << 20}, huge...) {
			ms = append(ms, mutant{fmt.Sprintf("%s/%d", part, v), g.set(part, v), g.on(part)})
		}
		for _, v := range []uint64{n - 1, n + 1, 2 * n, room} {
			ms = append(ms, mutant{fmt.Sprintf("%s/%d", part, v), g.set(part, v), g.owner(part)})
		}
		// The first elements are read as the next entry, whose name may by chance be right.
		ms = append(ms, mutant{part + "/0", g.set(part, 0), g.within(part)})
	}
	return ms
}

func nameMutants(g *ground) (ms []mutant) {
	for _, e := range g.entries {
		span := g.within(e.Key + "/type")
		name := g.field(e.Key + "/name")
		b := g.splice(span.from, 0, g.file[span.from:span.to])
		binary.LittleEndian.PutUint64(b[16:], g.get("keys")+1)
		ms = append(ms, mutant{e.Key + "/twice", b, spot{span.to, span.to + 8, strconv.Quote(e.Key)}},
			mutant{e.Key + "/zero", g.put(name.at+name.size/2, "\x00"), g.numbered(e.Key + "/namelen")},
			mutant{e.Key + "/zeros before", g.splice(span.from, 0, make([]byte, 8)), g.numbered(e.Key + "/namelen")},
			mutant{e.Key + "/byte before", g.splice(span.from, 0, []byte{0}), g.numbered(e.Key + "/namelen")})
	}
	for i, x := range g.tensors {
		at := g.field(x.Name + "/namelen").at
		name := g.field(x.Name + "/name")
		ms = append(ms, mutant{x.Name + "/zero", g.put(name.at+name.size/2, "\x00"), g.numbered(x.Name + "/namelen")},
			mutant{x.Name + "/zeros before", g.splice(at, 0, make([]byte, 8)), g.numbered(x.Name + "/namelen")})
		if twin := strings.Replace(x.Name, "blk.1.", "blk.0.", 1); twin != x.Name {
			ms = append(ms, mutant{x.Name + "/twice", g.put(name.at, twin), spot{at, at + 8, strconv.Quote(twin)}})
		}
		if i > 0 { // the entry before is lost and its name belongs to this one
			prev := g.tensors[i-1].Name
			from := g.field(prev + "/ndims").at
			ms = append(ms, mutant{x.Name + "/shape before lost", g.splice(from, at-from, nil), spot{from, from + 4, strconv.Quote(prev)}})
		}
	}
	return ms
}

func tensorMutants(g *ground) (ms []mutant) {
	const table, body, bias = "token_embd.weight", "blk.0.attn_qkv.weight", "blk.1.ffn_down.bias" // the first, one in the middle, the last
	size, data := uint64(len(g.file)), uint64(int64(len(g.file))-g.tensors[0].Offset)
	add := func(part string, v uint64, want spot) {
		ms = append(ms, mutant{fmt.Sprintf("%s/%d", part, v), g.set(part, v), want})
	}
	for _, name := range []string{table, body, bias} {
		for _, v := range []uint64{0, 5, 6, 255, 1 << 31, math.MaxUint32} {
			add(name+"/ndims", v, g.on(name+"/ndims"))
		}
		add(name+"/ndims", g.get(name+"/ndims")+1, g.owner(name+"/ndims"))
		for _, dim := range []string{"/dim0", "/dim1"} {
			if _, ok := g.index[name+dim]; !ok {
				continue
			}
			for _, v := range []uint64{0, 1 << 63, math.MaxUint64 - 47, math.MaxUint64} {
				add(name+dim, v, g.on(name+dim))
			}
			for _, v := range []uint64{g.get(name+dim) + 16, 2 * g.get(name+dim), 1 << 20, 1 << 32, 1 << 40, 1 << 61, 1<<63 - 1} {
				add(name+dim, v, g.owner(name+dim))
			}
		}
		for _, v := range []uint64{5, 31, 32, 33, 36, 37, 38, 43, 255, 1 << 31, math.MaxUint32} { // removed from ggml, or never there
			add(name+"/type", v, g.on(name+"/type"))
		}
		have, _ := Type(g.get(name + "/type")).Info()
		for _, info := range Types() { // rows that do not fill the blocks, or data that run into the next tensor's
			if row := g.get(name + "/dim0"); row%uint64(info.BlockSize) != 0 || info.BlockSize == 1 && info.BlockBytes > have.BlockBytes {
				add(name+"/type", uint64(info.Type), g.owner(name+"/type"))
			}
		}
		rel := g.get(name + "/offset")
		for _, v := range []uint64{rel + 1, rel + 16, rel + 31, rel - 1, data, size &^ 31, size&^31 + 32, 1 << 40, 1 << 62, 1 << 63, math.MaxUint64 - 31, math.MaxUint64 - 15} {
			add(name+"/offset", v, g.on(name+"/offset"))
		}
		for _, v := range []uint64{0, rel - 32, rel + 32, g.get("output_norm.bias/offset")} {
			if v != rel && v <= data {
				add(name+"/offset", v, g.owner(name+"/offset"))
			}
		}
	}
	add(table+"/ndims", 1, g.on(table+"/dim1")) // the second dimension is read as the type
	return ms
}

// TestTruncated cuts the file at the start and the end of every field and at every kilobyte.
func TestTruncated(t *testing.T) {
	g := newGround(t)
	last := g.tensors[len(g.tensors)-1]
	whole := last.Offset + last.Size
	cuts := map[int64]bool{}
	for _, f := range g.fields {
		cuts[f.at], cuts[f.at+f.size] = true, true
	}
	for _, x := range g.tensors {
		cuts[x.Offset], cuts[x.Offset+x.Size-1] = true, true
	}
	for n := int64(0); n < whole; n += 1024 {
		cuts[n] = true
	}
	for n := range cuts {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			// The error names the key or tensor whose field is cut, as far as its name is there; in the data, the
			// tensor of which the first byte is missing.
			want := spot{from: 0, to: n + 1}
			if i := slices.IndexFunc(g.fields, func(f field) bool { return n < f.at+f.size }); i >= 0 {
				f := g.fields[i]
				want.name = strconv.Quote(f.owner)
				if f.owner == "" || strings.HasSuffix(f.name, "/name") || strings.HasSuffix(f.name, "/namelen") {
					want.name = f.entry
				}
				if f.owner == "" {
					want.from = f.at
				}
			} else {
				i := slices.IndexFunc(g.tensors, func(x Tensor) bool { return n < x.Offset+x.Size })
				want = g.on(g.tensors[i].Name + "/offset")
			}
			err := g.probe(t, g.file[:n])
			if err == nil {
				t.Fatal("no error")
			}
			if bad := want.says(err); bad != nil {
				t.Errorf("%v\ngot  %.300v", bad, err)
			}
		})
	}
}
