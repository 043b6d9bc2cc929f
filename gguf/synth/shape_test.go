package synth

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/draw"
)

// Parameters of the published models as their safetensors count them (Gemma's 4B: the text model's share).
func TestShapeParameters(t *testing.T) {
	want := map[string]int64{
		"gemma3-270m": 268_098_176, "gemma3-1b": 999_885_952, "gemma3-4b": 3_880_099_328,
		"qwen2.5-0.5b": 494_032_768, "qwen2.5-1.5b": 1_543_714_304, "qwen2.5-7b": 7_615_616_512,
		"llama3.2-1b": 1_235_814_400, "llama3.2-3b": 3_212_749_824, "llama3.1-8b": 8_030_261_248,
		"gpt-oss-20b": 20_914_757_184,
	}
	if len(Shapes()) != len(want) {
		t.Errorf("%d shapes, want %d", len(Shapes()), len(want))
	}
	last := int64(0)
	for _, s := range Shapes() {
		n := s.Params()
		if n != want[s.Name] {
			t.Errorf("%s has %d parameters, want %d", s.Name, n, want[s.Name])
		}
		if n <= last {
			t.Errorf("%s is not larger than the shape before it", s.Name)
		}
		last = n
		d, err := Describe(s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d.ParamsTotal != n || d.NLayer != s.NLayer || d.NEmbd != s.NEmbd || d.NHead != s.NHead || d.NHeadKV != s.NHeadKV ||
			d.HeadDim != s.HeadDim || d.NFF != s.NFF || d.NVocab != s.NVocab || d.NExpert != s.NExpert ||
			d.NExpertUsed != s.NExpertUsed || d.TiedHead != s.Tied || len(d.Notes) != 0 {
			t.Errorf("%s is described as %+v", s.Name, d)
		}
		if !strings.HasPrefix(d.Name, "shape-") {
			t.Errorf("%s is called %q in its file: a reader may take it for the trained model", s.Name, d.Name)
		}
	}
	oss, _ := Lookup("shape:gpt-oss-20b")
	d, err := Describe(oss, Options{Type: "mxfp4"})
	if err != nil {
		t.Fatal(err)
	}
	if b := float64(d.ParamsActive) / 1e9; b < 4.1 || b > 4.3 { // 3.6 billion without the embedding and half the head's width of counting
		t.Errorf("gpt-oss-20b has %.2f billion active parameters", b)
	}
	if gib := float64(d.FileBytes) / (1 << 30); math.Abs(gib-11.3) > 0.3 { // the published GGUF has 12.1 GB
		t.Errorf("gpt-oss-20b in mxfp4 takes %.2f GiB", gib)
	}
}

// The factors of Llama 3.1 8B at the ends: the shortest waves are left alone, the longest stretched by 8, and the
// passage between rises.
func TestRopeFactors(t *testing.T) {
	s, _ := Lookup("shape:llama3.1-8b")
	f := ropeFactors(s)
	if len(f) != 64 || f[0] != 1 || f[63] != 8 || !slices.IsSorted(f) {
		t.Errorf("%v", f)
	}
	// Wavelength 2*pi*500000^(2i/128): at i = 30 it is 2947 tokens, a share of (8192/2947-1)/3 unstretched.
	share := (8192/(2*math.Pi*math.Pow(500_000, 60.0/128)) - 1) / 3
	if want := 1 / (share + (1-share)/8); math.Abs(float64(f[30])-want) > 1e-5 || share < 0.3 || share > 0.9 {
		t.Errorf("factor 30 is %g, want %g (share %g)", f[30], want, share)
	}
}

func TestLadder(t *testing.T) {
	ladder, err := Rungs("llama", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(ladder) < 12 {
		t.Errorf("%d rungs", len(ladder))
	}
	var logs []float64
	for i, s := range ladder {
		if s.NLayer*64 != s.NEmbd || s.NHead != s.NLayer || s.NHeadKV != s.NHead || s.HeadDim != 64 || 2*s.NFF != 7*s.NEmbd || s.NVocab != 4096 {
			t.Errorf("%s breaks the rule: %+v", s.Name, s)
		}
		n := s.Params()
		logs = append(logs, math.Log(float64(n)))
		if i > 0 {
			if step := math.Exp(logs[i] - logs[i-1]); step < 1.6 || step > 2.4 {
				t.Errorf("from %s to %s it is a factor of %.2f", ladder[i-1].Name, s.Name, step)
			}
		}
		h := float64(s.NHead)
		rule := 59_392*h*h*h + 4096*64*h
		if math.Abs(float64(n)/rule-1) > 0.001 {
			t.Errorf("%s has %d parameters, the rule says %.0f", s.Name, n, rule)
		}
		// The name says the size.
		name, unit := s.Name[len("llama/"):], 1e6
		if strings.HasSuffix(name, "b") {
			unit = 1e9
		}
		var size float64
		fmt.Sscanf(name, "%g", &size)
		if r := size * unit / float64(n); r < 0.93 || r > 1.07 {
			t.Errorf("%s has %d parameters", s.Name, n)
		}
		d, err := Describe(s, Options{Type: "q4_0"})
		if err != nil {
			t.Fatal(err)
		}
		// One weight type: no matrix may fall back.
		if len(d.WeightTypes) != 2 || d.WeightTypes["f32"] > d.WeightBytes/100 {
			t.Errorf("%s in q4_0 has types %v", s.Name, d.WeightTypes)
		}
		if share := float64(d.ParamsTotal-d.ParamsNonEmbedding) / float64(d.ParamsTotal); share > 0.25 {
			t.Errorf("%s is %.0f %% embedding", s.Name, 100*share)
		}
	}
	if n := ladder[0].Params(); n < 4_500_000 || n > 5_500_000 {
		t.Errorf("the ladder begins at %d", n)
	}
	if n := ladder[len(ladder)-1].Params(); n < 19_500_000_000 || n > 20_500_000_000 {
		t.Errorf("the ladder ends at %d", n)
	}
	if _, err := Rungs("mamba", 0); err == nil || !strings.Contains(err.Error(), "there is llama") {
		t.Errorf("%v", err)
	}
	other, err := Rungs("llama", 32_000)
	if err != nil || other[0].NVocab != 32_000 || other[0].Label() != "ladder-llama-5m-vocab32000" {
		t.Errorf("%+v, %v", other[0], err)
	}
}

// Every vocabulary is whole: tokens differ, merges make tokens that are there, and the end of text is marked.
func TestVocabularySizes(t *testing.T) {
	for _, n := range []int64{MinVocab, 300, 4096, VocabSize, 128_256, VocabSize + 1, 151_936, 128_256} { // larger ones share their tokens
		v := vocabularyOf(n)
		if len(v.tokens) != int(n) || len(v.types) != int(n) || len(v.merges) != int(min(n, VocabSize))-257 {
			t.Fatalf("%d: %d tokens, %d types, %d merges", n, len(v.tokens), len(v.types), len(v.merges))
		}
		if last := v.tokens[n-1]; n > VocabSize && (last != fmt.Sprintf("<unused%d>", n-1) || v.types[n-1] != unusedToken) {
			t.Errorf("%d: the last token is %q of type %d", n, last, v.types[n-1])
		}
		ids := map[string]int{}
		for i, s := range v.tokens {
			if _, dup := ids[s]; dup {
				t.Fatalf("%d: token %q stands twice", n, s)
			}
			ids[s] = i
		}
		for i, m := range v.merges {
			left, right, _ := strings.Cut(m, " ")
			if ids[left+right] != 256+i {
				t.Fatalf("%d: merge %q makes token %d, want %d", n, m, ids[left+right], 256+i)
			}
		}
		if v.tokens[v.endOfText] != "<|endoftext|>" || v.types[v.endOfText] != controlToken {
			t.Errorf("%d: token %d is %q of type %d", n, v.endOfText, v.tokens[v.endOfText], v.types[v.endOfText])
		}
	}
}

// typesOf counts the types of a shape's matrices.
func typesOf(t *testing.T, s Shape, typ string) map[gguf.Type]int {
	t.Helper()
	_, ts, err := s.contents(Options{Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	out := map[gguf.Type]int{}
	for _, x := range ts {
		out[x.Type]++
	}
	return out
}

func TestTypesFallBackAsInLlamaCpp(t *testing.T) {
	qwen, _ := Lookup("shape:qwen2.5-0.5b") // rows of 896 = 3.5 * 256 and of 4864 = 19 * 256
	if got := typesOf(t, qwen, "q4_K"); got[gguf.Q5_0] == 0 || got[gguf.Q4_K] != int(qwen.NLayer) {
		t.Errorf("%v", got)
	}
	if got := typesOf(t, qwen, "q6_K"); got[gguf.Q8_0] == 0 || got[gguf.Q6_K] != int(qwen.NLayer) {
		t.Errorf("%v", got)
	}
	oss, _ := Lookup("shape:gpt-oss-20b")
	if got := typesOf(t, oss, "mxfp4"); got[gguf.MXFP4] != 3*int(oss.NLayer) || got[gguf.Q8_0] != 2+4*int(oss.NLayer) {
		t.Errorf("%v", got)
	}
	llama, _ := Lookup("shape:llama3.1-8b")
	if _, err := Describe(llama, Options{Type: "mxfp4"}); err == nil || !strings.Contains(err.Error(), "no experts") {
		t.Errorf("%v", err)
	}
}

func openFile(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// A twin has the original's metadata and tensor table, and shares no weight with it but what is computed from the
// configuration.
func TestTwin(t *testing.T) {
	s, _ := Lookup("shape:llama3.2-1b")
	s = s.WithLayers(1).WithVocab(600)
	path := filepath.Join(t.TempDir(), "original.gguf")
	if err := Write(path, s, Options{Type: "q4_0", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	twin, err := OpenTwin(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "twin.gguf")
	opt := Options{Seed: 1} // that of the original, from which nothing must follow
	if err := Write(out, twin, opt); err != nil {
		t.Fatal(err)
	}
	if !matches(out, twin, opt) || matches(out, twin, Options{Seed: 2}) {
		t.Error("Matches does not know the twin")
	}
	a, b := openFile(t, path), openFile(t, out)
	for i := range a.KVs {
		va, _ := a.Value(&a.KVs[i])
		kv, ok := b.KV(a.KVs[i].Key)
		if !ok {
			t.Errorf("the twin has no %s", a.KVs[i].Key)
			continue
		}
		if vb, err := b.Value(kv); err != nil || !reflect.DeepEqual(va, vb) || a.KVs[i].Type != kv.Type {
			t.Errorf("%s differs", a.KVs[i].Key)
		}
	}
	if a.DataOffset%4096 != b.DataOffset%4096 {
		t.Errorf("the weights begin at %d, the original's at %d: not at the same place in a page", b.DataOffset, a.DataOffset)
	}
	if len(b.KVs) != len(a.KVs)+4 || len(b.Tensors) != len(a.Tensors) {
		t.Fatalf("%d keys and %d tensors, the original has %d and %d", len(b.KVs), len(b.Tensors), len(a.KVs), len(a.Tensors))
	}
	for i := range a.Tensors {
		x, y := a.Tensors[i], b.Tensors[i]
		if x.Name != y.Name || x.Type != y.Type || !reflect.DeepEqual(x.Dims, y.Dims) {
			t.Errorf("tensor %s became %+v", x.Name, y)
		}
		p, _ := io.ReadAll(a.Data(&x))
		q, _ := io.ReadAll(b.Data(&y))
		if same := bytes.Equal(p, q); same != (x.Name == "rope_freqs.weight") {
			t.Errorf("%s: equal to the original's: %v", x.Name, same)
		}
	}
	link := filepath.Join(t.TempDir(), "link.gguf")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{path, link} {
		if err := Write(target, twin, opt); err == nil || !strings.Contains(err.Error(), "is the original of this twin") {
			t.Errorf("the twin was written over its original: %v", err)
		}
	}
	// The twin of the twin says of which file it is one, once.
	again, err := OpenTwin(out)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Preview(again, opt); err != nil || len(f.KVs) != len(b.KVs) {
		t.Errorf("the twin's twin: %v", err)
	}
	if _, err := Preview(twin, Options{Type: "f16"}); err == nil {
		t.Error("a twin in another type")
	}
}

func TestTwinRefuses(t *testing.T) {
	for _, typ := range gguf.Types() {
		if draw.Supports(typ.Type) {
			continue
		}
		path := filepath.Join(t.TempDir(), "odd.gguf")
		w, err := gguf.Create(path, []gguf.Entry{{Key: "general.architecture", Value: "llama"}},
			[]gguf.Spec{{Name: "blk.0.odd.weight", Type: typ.Type, Dims: []int64{typ.BlockSize, 2}}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.Tensor("blk.0.odd.weight")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(make([]byte, 2*typ.BlockBytes)); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenTwin(path); err == nil || !strings.Contains(err.Error(), `tensor "blk.0.odd.weight" is `+typ.Name) {
			t.Errorf("%s: %v", typ.Name, err)
		}
	}
}
