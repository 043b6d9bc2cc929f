//go:build native

package native

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"llmscale/gguf/synth"
)

// These tests need a GPU and a build with ggml-cuda; elsewhere they are skipped
// and say which of the two is missing.
func needGPU(t *testing.T) {
	t.Helper()
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	if !build.CUDA {
		t.Skip("waived: this build has no ggml-cuda")
	}
	if !HasGPU() {
		t.Skip("waived: there is no GPU that ggml-cuda can use")
	}
}

// loadOn loads a model with all layers on the GPU, or none anywhere near it.
func loadOn(t *testing.T, path string, gpu bool) *Model {
	t.Helper()
	m, err := Load(path, ModelParams{GPU: gpu, GPULayers: 1000, Mmap: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// gpuShapes are what the GPU is held against the CPU with: each takes another way
// through ggml-cuda.
func gpuShapes(t *testing.T) map[string]synth.Shape {
	shapes := map[string]synth.Shape{"gpt2-5m": preset(t, "gpt2-5m"), "gpt2-25m": preset(t, "gpt2-25m")}
	for _, s := range synth.Shapes() {
		s = shallow(s)
		// All experts take part: where two are nearly level, rounding would choose, and
		// another expert is another answer.
		s.NExpertUsed = s.NExpert
		shapes[s.Name] = s
	}
	return shapes
}

// far is the largest difference of two rows of logits, and the root of the mean
// square of all, relative to the largest logit.
func far(a, b []float32) (most, rms float64) {
	var largest float64
	for i := range a {
		diff := math.Abs(float64(a[i]) - float64(b[i]))
		most = max(most, diff)
		rms += diff * diff
		largest = max(largest, math.Abs(float64(b[i])))
	}
	return most / largest, math.Sqrt(rms/float64(len(a))) / largest
}

// margin is how far the second largest logit lies below the largest, relative to
// the largest in magnitude.
func margin(x []float32) float64 {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	n := len(sorted)
	return float64(sorted[n-1]-sorted[n-2]) / math.Max(math.Abs(float64(sorted[n-1])), math.Abs(float64(sorted[0])))
}

// Tolerances for the largest difference of logits, relative to the largest logit; a
// third of that for the root mean square. With a batch, ggml-cuda lets cuBLAS
// multiply f32 in TF32, of 10 bits of mantissa, and add f16 in f16; quantised
// weights meet activations that the GPU rounds to 8 bits in other blocks than the
// CPU does.
var gpuTolerance = map[string]float64{"f32": 5e-3, "f16": 3e-2, "q8_0": 3e-2, "q4_0": 5e-2, "mxfp4": 5e-2}

// TestGPULogits compares logits of every position of a prompt with the CPU's.
func TestGPULogits(t *testing.T) {
	needGPU(t)
	shapes := gpuShapes(t)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		shape := shapes[name]
		types := []string{"f32", "f16", "q8_0", "q4_0"}
		if shape.NExpert > 0 {
			types = append(types, "mxfp4")
		}
		for _, typ := range types {
			t.Run(name+"/"+typ, func(t *testing.T) {
				path := writeModel(t, shape, typ)
				prompt := drawTokens(48, shape.NVocab)
				var rows [2][][]float32
				for i, gpu := range []bool{false, true} {
					c := newContext(t, loadOn(t, path, gpu), ContextParams{NCtx: 256, Threads: 4})
					var err error
					if rows[i], err = c.EvalAll(prompt); err != nil {
						t.Fatal(err)
					}
				}
				var worst, rms float64
				for i := range prompt {
					most, mean := far(rows[1][i], rows[0][i])
					worst, rms = max(worst, most), max(rms, mean)
				}
				t.Logf("largest difference %.2g of the largest logit, root mean square %.2g", worst, rms)
				if !(worst <= gpuTolerance[typ]) || !(rms <= gpuTolerance[typ]/3) { // NaN too
					t.Errorf("logits differ by %.3g of the largest (root mean square %.3g), tolerated are %.3g (%.3g)", worst, rms, gpuTolerance[typ], gpuTolerance[typ]/3)
				}
			})
		}
	}
}

// TestGPUGreedy decodes 32 tokens on both in f32: the same tokens must come, but
// where the CPU itself was undecided by less than the tolerance.
func TestGPUGreedy(t *testing.T) {
	needGPU(t)
	const steps = 32
	shapes := gpuShapes(t)
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		shape := shapes[name]
		t.Run(name, func(t *testing.T) {
			path := writeModel(t, shape, "f32")
			prompt := drawTokens(16, shape.NVocab)
			var ids [2][]int32
			for i, gpu := range []bool{false, true} {
				m, err := newContext(t, loadOn(t, path, gpu), ContextParams{NCtx: 256, Threads: 4}).Measure(prompt, steps)
				if err != nil {
					t.Fatal(err)
				}
				if gpu != (m.Device != nil) {
					t.Fatalf("gpu %v has device times %+v", gpu, m.Device)
				}
				ids[i] = m.OutputIDs
			}
			for i := range steps {
				if ids[0][i] == ids[1][i] {
					continue
				}
				c := newContext(t, loadOn(t, path, false), ContextParams{NCtx: 256, Threads: 4})
				logits, err := c.Eval(append(slices.Clone(prompt), ids[0][:i]...))
				if err != nil {
					t.Fatal(err)
				}
				if undecided := margin(logits); undecided > gpuTolerance["f32"] {
					t.Errorf("token %d is %d on the CPU and %d on the GPU, and the CPU was sure by %.3g of the largest logit", i, ids[0][i], ids[1][i], undecided)
				} else {
					t.Logf("token %d of %d differs where two logits lie %.2g apart; what follows differs with it", i, steps, undecided)
				}
				return
			}
		})
	}
}

// TestGPUTimes holds the device's clock against the host's.
func TestGPUTimes(t *testing.T) {
	needGPU(t)
	shape := preset(t, "gpt2-45m")
	c := newContext(t, loadOn(t, writeModel(t, shape, "f16"), true), ContextParams{NCtx: 1024, Threads: 4, TokenEvents: true})
	const steps = 40
	var last *Measurement
	for call := range 8 {
		m, err := c.Measure(drawTokens(512, shape.NVocab), steps)
		if err != nil {
			t.Fatal(err)
		}
		d := m.Device
		if d == nil {
			t.Fatal("no device times")
		}
		if len(d.TokenNS) != steps {
			t.Fatalf("%d times of %d steps", len(d.TokenNS), steps)
		}
		// CUDA resolves half a microsecond; the device's phase begins after the host's and ends before.
		const resolution = 1000
		var sum int64
		for _, ns := range d.TokenNS {
			if ns <= 0 {
				t.Errorf("call %d: a step of %d ns", call, ns)
			}
			sum += ns
		}
		for what, p := range map[string][2]int64{"prefill": {d.PrefillNS, m.PrefillNS}, "decode": {d.KVDecodeNS, m.KVDecodeNS}, "e2e": {d.E2ENS, m.E2ENS}, "steps": {sum, d.KVDecodeNS}} {
			if p[0] <= 0 || p[0] > p[1]+resolution*steps {
				t.Errorf("call %d: %s took %d ns by the device, more than the %d ns around it", call, what, p[0], p[1])
			}
		}
		last = m
	}
	if last.Device.GraphCaptures != 0 {
		t.Errorf("the eighth call still captured %d CUDA graphs", last.Device.GraphCaptures)
	}
}

// TestGPUMemory finds the weights on the GPU by llama.cpp's own account, and
// FitLayers' answer on either side of what fits.
func TestGPUMemory(t *testing.T) {
	needGPU(t)
	shape := preset(t, "gpt2-45m")
	path := writeModel(t, shape, "f16")
	params := ContextParams{NCtx: 512, Threads: 4}
	device := func(layers int) int64 {
		m, err := Load(path, ModelParams{GPU: true, GPULayers: layers})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		c := newContext(t, m, params)
		defer c.Close()
		buffers, err := c.Memory()
		if err != nil {
			t.Fatal(err)
		}
		return OnDevice(buffers).Bytes()
	}
	most := int(shape.NLayer) + 1
	const slack = 1 << 20 // less than a layer
	all, half := device(most), device(most/2)
	if all <= half || half <= 0 {
		t.Fatalf("all layers take %d bytes of the device, half of them %d", all, half)
	}
	for _, c := range []struct {
		free int64
		want int
	}{{all + FitReserveBytes, most}, {half + slack + FitReserveBytes, most / 2}} {
		got, err := FitLayers(path, ModelParams{GPU: true}, params, most, c.free)
		if err != nil || got != c.want {
			t.Errorf("%d bytes free: %d layers fit, %v, want %d", c.free, got, err, c.want)
		}
	}
}

// TestGPUPlacement: everything on the GPU in one piece, or, without layers
// there, the CPU at work.
func TestGPUPlacement(t *testing.T) {
	needGPU(t)
	shape := preset(t, "gpt2-45m")
	path := writeModel(t, shape, "f16")
	for _, layers := range []int{0, 1000} {
		m, err := Load(path, ModelParams{GPU: true, GPULayers: layers})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		p, err := newContext(t, m, ContextParams{NCtx: 256, Threads: 4}).Placement(drawTokens(8, shape.NVocab))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d layers: %+v", layers, p)
		if layers == 0 && p.Decode.CPUOps < p.Decode.Ops/2 {
			t.Errorf("without layers on the GPU the CPU computes %d of %d operations of a step", p.Decode.CPUOps, p.Decode.Ops)
		}
		// The token embedding stays with the CPU, as llama.cpp has it.
		if layers > 0 && p.Decode.CPUOps > 2 {
			t.Errorf("with all layers on the GPU the CPU computes %v", p.Decode.CPUOpCounts)
		}
	}
}

func drawTokens(n int, vocab int64) []int32 {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = r.Int32N(int32(vocab))
	}
	return ids
}
