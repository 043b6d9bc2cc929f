package synth

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
)

func TestPresetParameters(t *testing.T) {
	// TR121's exact counts; those of the three larger models are OpenAI's, as Hugging Face counts them.
	want := map[string]int64{
		"tiny-gpt2": 102_714, "gpt2-1m": 11_180_928, "gpt2-5m": 5_036_720, "gpt2-25m": 25_016_064,
		"gpt2-45m": 45_171_200, "gpt2-50m": 51_475_968, "gpt2-75m": 74_824_704, "gpt2-100m": 96_088_320,
		"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
	}
	if len(Presets()) != len(want) {
		t.Errorf("%d presets, want %d", len(Presets()), len(want))
	}
	for _, p := range Presets() {
		if err := p.check(); err != nil {
			t.Error(err)
		}
		d := p.NEmbd
		formula := (p.NVocab+p.NCtx)*d + p.NLayer*(12*d*d+13*d) + 2*d
		if p.Params() != want[p.Name] || formula != want[p.Name] {
			t.Errorf("%s: %d weights in the tensors, %d by the formula, want %d", p.Name, p.Params(), formula, want[p.Name])
		}
	}
}

func TestLookup(t *testing.T) {
	if p, err := Lookup("gpt2-25m"); err != nil || p.NEmbd != 384 {
		t.Errorf("%+v, %v", p, err)
	}
	for name, part := range map[string]string{
		"gpt2-25M": `did you mean "gpt2-25m"`, "gtp2": `did you mean "gpt2"`, "llama-3.1-8b-instruct": "there are tiny-gpt2,",
		"llama3.1-8b": `did you mean "shape:llama3.1-8b"`,
	} {
		if _, err := Lookup(name); err == nil || !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "gpt2-xl") {
			t.Errorf("%s: %v, want %s", name, err, part)
		}
	}
}

func hashFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func write(t *testing.T, name string, opt Options) string {
	t.Helper()
	p, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := Write(path, p, opt); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Describe(p, opt); err != nil || st.Size() != d.FileBytes {
		t.Errorf("%s %s: %d bytes, but Describe says %d, %v", name, opt.Type, st.Size(), d.FileBytes, err)
	}
	return path
}

// The hashes pin the bytes of version 1: if they change, version must. They were taken on amd64.
func TestSameSeedSameBytes(t *testing.T) {
	for _, c := range []struct{ preset, typ, want string }{
		{"tiny-gpt2", "f32", "629093d9203e48e9"}, {"tiny-gpt2", "f16", "bffa0bed611f6691"}, {"gpt2-5m", "q8_0", "837ececae2ea5c5b"},
	} {
		got := hashFile(t, write(t, c.preset, Options{Type: c.typ, Seed: 42}))
		if got != c.want {
			t.Errorf("%s %s seed 42: hash %s, want %s", c.preset, c.typ, got, c.want)
		}
	}
	one := hashFile(t, write(t, "gpt2-5m", Options{Type: "q8_0", Seed: 1}))
	if other := hashFile(t, write(t, "gpt2-5m", Options{Type: "q8_0", Seed: 2})); other == one {
		t.Error("two seeds gave the same file")
	}
	for _, procs := range []int{1, 3, 16} {
		old := runtime.GOMAXPROCS(procs)
		again := hashFile(t, write(t, "gpt2-5m", Options{Type: "q8_0", Seed: 1}))
		runtime.GOMAXPROCS(old)
		if again != one {
			t.Errorf("with GOMAXPROCS=%d the file differs", procs)
		}
	}
}

func TestFileContents(t *testing.T) {
	for _, c := range []struct {
		preset, typ string
		weightType  string
		fallback    int
	}{
		{"tiny-gpt2", "f32", "f32", 0},
		{"tiny-gpt2", "q8_0", "f16", 9}, // rows of 2 and 8: nothing fits blocks of 32
		{"gpt2-5m", "f16", "f16", 0},
		{"gpt2-5m", "q8_0", "f16", 37}, // rows of 80 do not, ffn_down's of 320 do
		{"gpt2-25m", "q8_0", "q8_0", 0},
	} {
		path := write(t, c.preset, Options{Type: c.typ, Seed: 7})
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p, _ := Lookup(c.preset)
		d, err := ledger.Describe(f)
		if err != nil {
			t.Fatal(err)
		}
		if d.ParamsTotal != p.Params() || d.ParamsActive != p.Params() || d.ParamsNonEmbedding != p.Params()-p.NEmbd*(VocabSize+1024) {
			t.Errorf("%s: %d parameters, %d without embeddings", c.preset, d.ParamsTotal, d.ParamsNonEmbedding)
		}
		if before, err := Describe(p, Options{Type: c.typ, Seed: 7}); err != nil || !reflect.DeepEqual(before, d) {
			t.Errorf("%s: described before writing as %+v, %v", c.preset, before, err)
		}
		if d.Architecture != "gpt2" || d.NLayer != p.NLayer || d.NEmbd != p.NEmbd || d.NHead != p.NHead || d.NHeadKV != p.NHead ||
			d.HeadDim != p.NEmbd/p.NHead || d.NFF != 4*p.NEmbd || d.NVocab != 50257 || d.NCtxTrain != 1024 || !d.TiedHead || len(d.Notes) != 0 {
			t.Errorf("%s: %+v", c.preset, d)
		}
		if d.WeightType != c.weightType {
			t.Errorf("%s %s: mostly %s, want %s", c.preset, c.typ, d.WeightType, c.weightType)
		}
		fallback, _ := f.Strings("llmscale.fallback_tensors")
		if len(fallback) != c.fallback {
			t.Errorf("%s %s: %d tensors fell back, want %d", c.preset, c.typ, len(fallback), c.fallback)
		}
		want, _ := gguf.ParseType(c.typ)
		for _, x := range f.Tensors {
			typ := want
			if len(x.Dims) == 1 || x.Name == "position_embd.weight" {
				typ = gguf.F32
			}
			for _, name := range fallback {
				if name == x.Name {
					typ = gguf.F16
				}
			}
			if x.Type != typ {
				t.Errorf("%s %s: %s is %s, want %s", c.preset, c.typ, x.Name, x.Type, typ)
			}
		}
		tokens, err := f.Strings("tokenizer.ggml.tokens")
		if err != nil || !reflect.DeepEqual(tokens, vocabulary().tokens) {
			t.Errorf("tokens came back wrong: %v", err)
		}
	}
}

// values reads a tensor back as floats, by its own decoder.
func values(t *testing.T, f *gguf.File, name string) []float64 {
	t.Helper()
	x, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	b, err := io.ReadAll(f.Data(x))
	if err != nil {
		t.Fatal(err)
	}
	var out []float64
	le := binary.LittleEndian
	switch x.Type {
	case gguf.F32:
		for ; len(b) > 0; b = b[4:] {
			out = append(out, float64(math.Float32frombits(le.Uint32(b))))
		}
	case gguf.F16:
		for ; len(b) > 0; b = b[2:] {
			out = append(out, half(le.Uint16(b)))
		}
	case gguf.Q8_0:
		for ; len(b) > 0; b = b[34:] {
			for _, q := range b[2:34] {
				out = append(out, half(le.Uint16(b))*float64(int8(q)))
			}
		}
	}
	return out
}

func half(h uint16) float64 {
	sign, exp, frac := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
	switch exp {
	case 0:
		return sign * math.Ldexp(frac, -24)
	case 31:
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+frac, exp-25)
}

func TestWeightsAreNormalAndTheSameInEveryType(t *testing.T) {
	open := func(typ string) *gguf.File {
		f, err := gguf.Open(write(t, "gpt2-1m", Options{Type: typ, Seed: 3}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	f32, f16, q8 := open("f32"), open("f16"), open("q8_0")
	for _, c := range []struct {
		name      string
		mean, std float64
	}{
		{"token_embd.weight", 0, 0.02}, {"blk.1.attn_qkv.weight", 0, 1 / math.Sqrt(192)},
		{"blk.2.ffn_down.weight", 0, 1 / math.Sqrt(768)}, {"blk.0.attn_norm.weight", 1, 0.02}, {"blk.0.ffn_up.bias", 0, 0.02},
	} {
		v := values(t, f32, c.name)
		mean, m2, m4 := 0.0, 0.0, 0.0
		for _, x := range v {
			mean += x / float64(len(v))
		}
		for _, x := range v {
			m2 += (x - mean) * (x - mean) / float64(len(v))
			m4 += math.Pow(x-mean, 4) / float64(len(v))
		}
		n := math.Sqrt(float64(len(v)))
		if math.Abs(mean-c.mean) > 5*c.std/n || math.Abs(math.Sqrt(m2)/c.std-1) > 5/n {
			t.Errorf("%s: mean %g, deviation %g; want %g, %g", c.name, mean, math.Sqrt(m2), c.mean, c.std)
		}
		if k := m4 / m2 / m2; math.Abs(k-3) > 0.05+25/n {
			t.Errorf("%s: kurtosis %g, a normal distribution has 3", c.name, k)
		}
		h, q := values(t, f16, c.name), values(t, q8, c.name)
		for i, x := range v {
			if math.Abs(h[i]-x) > math.Abs(x)/2048+1e-7 {
				t.Fatalf("%s[%d]: f16 %g, f32 %g", c.name, i, h[i], x)
			}
			if math.Abs(q[i]-x) > 3.8*c.std/127*0.51 {
				t.Fatalf("%s[%d]: q8_0 %g, f32 %g", c.name, i, q[i], x)
			}
		}
	}
	// Two tensors of one shape must not be equal.
	a, b := values(t, f32, "blk.0.attn_output.weight"), values(t, f32, "blk.1.attn_output.weight")
	if reflect.DeepEqual(a[:64], b[:64]) {
		t.Error("two layers have the same weights")
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	p, _ := Lookup("tiny-gpt2")
	odd := p
	odd.NHead, odd.NHeadKV = 3, 3
	for name, c := range map[string]struct {
		path, typ, want string
		p               Shape
	}{
		"type":   {filepath.Join(dir, "a"), "q4_1", "want one of f32, f16, bf16, q8_0, q4_0", p},
		"shape":  {filepath.Join(dir, "a"), "f32", "want a multiple of the heads", odd},
		"folder": {filepath.Join(dir, "none", "a.gguf"), "f32", filepath.Join(dir, "none", "a.gguf"), p},
	} {
		err := Write(c.path, c.p, Options{Type: c.typ})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v was left behind", left)
	}
}

func TestProgress(t *testing.T) {
	var last, total int64
	write(t, "gpt2-1m", Options{Progress: func(d, n int64) {
		if d <= last || d > n {
			t.Fatalf("progress went from %d to %d of %d", last, d, n)
		}
		last, total = d, n
	}})
	if last != total || total != 11_180_928*4 {
		t.Errorf("ended at %d of %d", last, total)
	}
}
