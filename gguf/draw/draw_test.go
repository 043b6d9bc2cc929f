package draw

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"llmscale/gguf"
)

func newTestMaker(t *testing.T, typ gguf.Type, mean, std float64) maker {
	t.Helper()
	m, err := makers[typ](mean, std)
	if err != nil {
		t.Fatalf("%s: %v", typ, err)
	}
	return m
}

func rowBytes(t *testing.T, typ gguf.Type, n int64) int64 {
	t.Helper()
	size, err := typ.RowBytes(n)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

func fillAll(t *testing.T, typ gguf.Type, std float64, n int64) []byte {
	t.Helper()
	buf := make([]byte, rowBytes(t, typ, n))
	newTestMaker(t, typ, 0, std).fill(buf, 1, 0)
	return buf
}

func TestFillFromTheMiddle(t *testing.T) {
	for _, info := range drawable() {
		n := 4*grain + info.BlockSize // the end is no whole word of most types
		whole := fillAll(t, info.Type, 0.02, n)
		if int64(len(whole)) != n/info.BlockSize*info.BlockBytes {
			t.Fatalf("%s: %d bytes", info.Name, len(whole))
		}
		at := rowBytes(t, info.Type, 3*grain)
		part := make([]byte, len(whole)-int(at))
		newTestMaker(t, info.Type, 0, 0.02).fill(part, 1, 3*grain)
		if !bytes.Equal(part, whole[at:]) {
			t.Errorf("%s: filling from weight %d on gives other bytes than filling from the start", info.Name, 3*grain)
		}
		if bytes.Equal(part[:grain/8], whole[:grain/8]) {
			t.Errorf("%s: the tensor repeats itself", info.Name)
		}
	}
}

// stream writes tensors into a file and returns its hash.
func stream(t *testing.T, path string, ts []Tensor, seed uint64) string {
	t.Helper()
	specs := make([]gguf.Spec, len(ts))
	for i := range ts {
		specs[i] = ts[i].Spec
	}
	w, err := gguf.Create(path, nil, specs)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := Stream(w, ts, seed, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// The hashes pin what a seed gives. If they change, synthesised models of that type are others than before, and
// the version that gguf/synth writes into its files must change. They were taken on amd64.
var hashes = map[gguf.Type]string{
	gguf.F32:    "f81d491383264034",
	gguf.F16:    "ae09be11bd9c7625",
	gguf.BF16:   "b532faf395dbc9f6",
	gguf.Q8_0:   "47d0fca068fa0d97",
	gguf.Q4_0:   "3b75002ac4afd62d",
	gguf.Q4_K:   "3b48af0a8c4709e9",
	gguf.Q6_K:   "f905dfb24e9d44c2",
	gguf.Q4_1:   "05fec3a074fabe19",
	gguf.Q5_0:   "b036247bfb3198aa",
	gguf.Q5_1:   "10204a1f89050300",
	gguf.Q2_K:   "c36a865f8d03ade2",
	gguf.Q3_K:   "daa09b940ddba205",
	gguf.Q5_K:   "61894a8b0c6c37b8",
	gguf.IQ2XXS: "b465c900116eb458",
	gguf.IQ2XS:  "6bea70ca05977f9f",
	gguf.IQ3XXS: "2b213af74367ad06",
	gguf.IQ1S:   "5fac381a8a07e372",
	gguf.IQ4NL:  "9f1696d6e6589e5b",
	gguf.IQ3S:   "04d84d0a2f7f0726",
	gguf.IQ2S:   "83f3a7eb57872349",
	gguf.IQ4XS:  "bd4ffcbc3277d2c3",
	gguf.IQ1M:   "2caddb771dff01c9",
	gguf.TQ1_0:  "277c02ae2912fe4a",
	gguf.TQ2_0:  "68c18ce912d1e5ba",
	gguf.MXFP4:  "2c9e761d933a8c05",
}

func TestStreamBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	for _, info := range drawable() {
		// A second tensor whose weights are no whole words.
		ts := []Tensor{
			{Spec: gguf.Spec{Name: "a", Type: info.Type, Dims: []int64{256, 1027}}, Std: 0.02},
			{Spec: gguf.Spec{Name: "b", Type: info.Type, Dims: []int64{info.BlockSize}}, Std: 0.5},
		}
		got := stream(t, path, ts, 42)
		if got != hashes[info.Type] {
			t.Errorf("%s: hash %s, want %q", info.Name, got, hashes[info.Type])
		}
		if other := stream(t, path, ts, 43); other == got {
			t.Errorf("%s: seed 43 gives the bytes of seed 42", info.Name)
		}
	}
}

// TestStreamChunks has tensors of several chunks, whose bytes must be those of one piece.
func TestStreamChunks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, info := range drawable() {
		n := chunkWeights(info.Type)*5/2/256*256 + info.BlockSize
		ts := []Tensor{{Spec: gguf.Spec{Name: "a", Type: info.Type, Dims: []int64{n}}, Std: 0.02}}
		want := make([]byte, rowBytes(t, info.Type, n))
		newTestMaker(t, info.Type, 0, 0.02).fill(want, streamKey(42, "a"), 0)
		for _, procs := range []int{1, 5} {
			runtime.GOMAXPROCS(procs)
			stream(t, path, ts, 42)
			if !bytes.Equal(dataOf(t, path, 0), want) {
				t.Errorf("%s: %d cores give other bytes than one piece", info.Name, procs)
			}
		}
	}
}

// dataOf reads a tensor's data.
func dataOf(t *testing.T, path string, tensor int) []byte {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f.Data(&f.Tensors[tensor]))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStreamMemory has a tensor of which the chunks go round many times.
func TestStreamMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	allocated := func(rows int64) uint64 {
		ts := []Tensor{{Spec: gguf.Spec{Name: "x", Type: gguf.F16, Dims: []int64{chunkWeights(gguf.F16), rows}}, Std: 1}}
		specs := []gguf.Spec{ts[0].Spec}
		w, err := gguf.Create(path, nil, specs)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := Stream(w, ts, 1, nil); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1) // tables that the process makes once
	one, hundred := allocated(1), allocated(100)
	if hundred > one+1<<20 {
		t.Errorf("%d bytes for one chunk, %d for a hundred", one, hundred)
	}
}

func TestStreamRefuses(t *testing.T) {
	good := Tensor{Spec: gguf.Spec{Name: "good", Type: gguf.F32, Dims: []int64{256}}, Std: 0.02}
	for _, c := range []struct {
		typ       gguf.Type
		dim       int64
		mean, std float64
		values    []float32
		want      string
	}{
		{gguf.Q8_1, 256, 0, 0.02, nil, "no weights can be drawn"},
		{gguf.Q8_K, 256, 0, 0.02, nil, "no weights can be drawn"},
		{gguf.I8, 256, 0, 0.02, nil, "no weights can be drawn"},
		{gguf.I64, 256, 0, 0.02, nil, "no weights can be drawn"},
		{gguf.F64, 256, 0, 0.02, nil, "no weights can be drawn"},
		{gguf.MXFP4Ollama, 256, 0, 0.02, nil, "no weights can be drawn"},
		{gguf.Type(99), 256, 0, 0.02, nil, "no weights can be drawn"},
		{gguf.Q4_K, 128, 0, 0.02, nil, "multiple of the 256 elements"},
		{gguf.F32, 256, math.NaN(), 0.02, nil, "want finite numbers"},
		{gguf.F32, 256, 0, -1, nil, "want finite numbers"},
		{gguf.F32, 256, 0, 1e38, nil, "cannot hold"},
		{gguf.F16, 256, 60000, 2000, nil, "cannot hold"},
		{gguf.BF16, 256, 0, 1e38, nil, "cannot hold"},
		{gguf.Q8_0, 256, 1, 0.02, nil, "mean of 0"},
		{gguf.Q8_0, 256, 0, 1e-9, nil, "block scales"},
		{gguf.Q4_0, 256, 1, 0.02, nil, "mean of 0"},
		{gguf.Q4_0, 256, 0, 1e6, nil, "block scales"},
		{gguf.Q6_K, 256, 0, 1e-6, nil, "block scales"},
		{gguf.IQ1M, 256, 0, 1e-6, nil, "block scales"},
		{gguf.TQ1_0, 256, 0, 1e6, nil, "block scales"},
		{gguf.TQ2_0, 256, 1, 1, nil, "mean of 0"},
		{gguf.MXFP4, 256, 0, 0, nil, "block scales"},
		{gguf.MXFP4, 256, 0, 1e39, nil, "block scales"},
		{gguf.MXFP4, 256, 1, 1, nil, "mean of 0"},
		{gguf.F32, 2, 0, 0, []float32{1}, "1 given values; want one for each of 2"},
		{gguf.F16, 1, 0, 0, []float32{1}, "f32 elements"},
	} {
		bad := Tensor{gguf.Spec{Name: "bad", Type: c.typ, Dims: []int64{c.dim}}, c.mean, c.std, c.values}
		w, err := gguf.Create(filepath.Join(t.TempDir(), "x"), nil, []gguf.Spec{good.Spec})
		if err != nil {
			t.Fatal(err)
		}
		err = Stream(w, []Tensor{good, bad}, 1, nil)
		for _, want := range []string{`"bad"`, c.typ.String(), c.want} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %d weights, mean %g, std %g: error %v lacks %q", c.typ, c.dim, c.mean, c.std, err, want)
			}
		}
		// The first tensor is still to come: nothing was written.
		if _, err := w.Tensor("good"); err != nil {
			t.Errorf("%s: after the refusal: %v", c.typ, err)
		}
		w.Close()
	}
}

func TestStreamGivenValues(t *testing.T) {
	values := []float32{1, -2, float32(math.Inf(1))}
	path := filepath.Join(t.TempDir(), "x.gguf")
	ts := []Tensor{
		{Spec: gguf.Spec{Name: "random", Type: gguf.F32, Dims: []int64{3}}, Std: 1},
		{Spec: gguf.Spec{Name: "given", Type: gguf.F32, Dims: []int64{3}}, Values: values},
	}
	stream(t, path, ts, 1)
	for i, given := range []bool{false, true} {
		b := dataOf(t, path, i)
		var want []byte
		for _, v := range values {
			want = binary.LittleEndian.AppendUint32(want, math.Float32bits(v))
		}
		if bytes.Equal(b, want) != given {
			t.Errorf("%s holds % x; the given values are % x", ts[i].Name, b, want)
		}
	}
}

func TestSupports(t *testing.T) {
	const refused = " q8_1 q8_K i8 i16 i32 i64 f64 mxfp4_ollama nvfp4 q1_0 q2_0 "
	for _, info := range gguf.Types() {
		if want := !strings.Contains(refused, " "+info.Name+" "); Supports(info.Type) != want {
			t.Errorf("Supports(%s) = %v", info.Name, !want)
		}
	}
}

func moments(x []float64) (mean, std float64) {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	n := float64(len(x))
	return sum / n, math.Sqrt(squares/n - sum/n*sum/n)
}
