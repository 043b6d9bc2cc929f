package kernels_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"llmscale/cuda/kernels"
)

// Launch shapes and sizes (in vectors of 16 bytes) that meet every path: less than a
// thread each, whole chunks, chunks and a rest, more blocks than chunks.
var shapes = []struct {
	grid, block int
	n           uint64
}{
	{1, 32, 1}, {3, 64, 5}, {2, 64, 64 * 8}, {2, 64, 64*8*3 + 7}, {7, 128, 128*4*2 - 1}, {5, 256, 256*8 + 256*4 + 33}, {1, 1024, 3000},
}

func patterned(n uint64, seed uint32) []float32 {
	out := make([]float32, 4*n)
	for e := range out {
		out[e] = kernels.Pattern(uint32(e), seed)
	}
	return out
}

func total(sums []uint32) (sum uint32) {
	for _, s := range sums {
		sum += s
	}
	return sum
}

func TestRead(t *testing.T) {
	g := emulate(t)
	for _, s := range shapes {
		src := patterned(s.n, 5)
		sums := make([]uint32, s.grid)
		want := kernels.PatternSum(int64(4*s.n), 5)
		for _, repeats := range []uint32{1, 3} {
			g.must("ls_read", s.grid, s.block, src, s.n, repeats, sums)
			if got := total(sums); got != want*repeats {
				t.Errorf("ls_read, %+v, %d times: %#x, want %#x", s, repeats, got, want*repeats)
			}
		}
		g.must("ls_flush", s.grid, s.block, src, s.n, sums)
		if got := total(sums); got != want {
			t.Errorf("ls_flush, %+v: %#x, want %#x", s, got, want)
		}
		g.must("ls_pattern_sum", s.grid, s.block, s.n, uint32(5), sums)
		if got := total(sums); got != want {
			t.Errorf("ls_pattern_sum, %+v: %#x, want %#x", s, got, want)
		}
	}
}

func TestWrite(t *testing.T) {
	g := emulate(t)
	for _, s := range shapes {
		dst := make([]float32, 4*s.n)
		wrong := make([]uint32, s.grid)
		g.must("ls_write", s.grid, s.block, dst, s.n, uint32(2), float32(kernels.WriteValue))
		for i, v := range dst {
			if want := float32(kernels.WriteValue + i%4); v != want {
				t.Fatalf("%+v: element %d is %v, want %v", s, i, v, want)
			}
		}
		g.must("ls_check_write", s.grid, s.block, dst, s.n, float32(kernels.WriteValue), wrong)
		if got := total(wrong); got != 0 {
			t.Errorf("%+v: %d elements of a good array are called wrong", s, got)
		}
		dst[len(dst)-1]++
		dst[0] = float32(math.NaN())
		g.must("ls_check_write", s.grid, s.block, dst, s.n, float32(kernels.WriteValue), wrong)
		if got := total(wrong); got != 2 {
			t.Errorf("%+v: %d elements are called wrong, want 2", s, got)
		}
	}
}

func TestFillCopyTriad(t *testing.T) {
	g := emulate(t)
	const seedB, seedC = 11, 12
	for _, s := range shapes {
		a, b, c := make([]float32, 4*s.n), make([]float32, 4*s.n), make([]float32, 4*s.n)
		wrong := make([]uint32, s.grid)
		check := func(what string, scale float32, mistakes uint32) {
			t.Helper()
			g.must("ls_check_triad", s.grid, s.block, a, s.n, uint32(seedB), uint32(seedC), scale, wrong)
			if got := total(wrong); got != mistakes {
				t.Errorf("%+v: %d elements of the %s are called wrong, want %d", s, got, what, mistakes)
			}
		}
		g.must("ls_fill", s.grid, s.block, b, s.n, uint32(seedB))
		g.must("ls_fill", s.grid, s.block, c, s.n, uint32(seedC))
		if want := patterned(s.n, seedB); !slices.Equal(b, want) {
			t.Fatalf("ls_fill, %+v: not kernels.Pattern", s)
		}
		g.must("ls_copy", s.grid, s.block, a, b, s.n, uint32(2))
		if !slices.Equal(a, b) {
			t.Errorf("ls_copy, %+v: not the same", s)
		}
		check("copy", 0, 0)
		g.must("ls_triad", s.grid, s.block, a, b, c, s.n, uint32(2), float32(kernels.TriadScale))
		for i := range a {
			if want := b[i] + kernels.TriadScale*c[i]; a[i] != want {
				t.Fatalf("ls_triad, %+v: element %d is %v, want %v", s, i, a[i], want)
			}
		}
		check("triad", kernels.TriadScale, 0)
		a[len(a)/2]--
		check("triad", kernels.TriadScale, 1)
	}
}

func TestMatVec(t *testing.T) {
	g := emulate(t)
	for _, typ := range []string{kernels.F16, kernels.Q8_0, kernels.Q4_0} {
		// Rows that leave warps without work, columns of less than a tile, of whole
		// tiles, of more tiles than are in flight at once.
		for _, shape := range [][2]int{{4, 256}, {5, 768}, {1, 2048}, {7, 2304}, {2, 6144 + 256}, {3, 14336}} {
			rows, columns := shape[0], shape[1]
			t.Run(fmt.Sprintf("%s/%dx%d", typ, rows, columns), func(t *testing.T) {
				weights := kernels.RandomWeights(typ, rows, columns, 7)
				x := kernels.RandomVector(columns, 8)
				clear(x[32:64]) // a block without a scale
				y := make([]float32, rows)
				g.t = t
				g.must("ls_matvec_"+typ, (rows+3)/4, kernels.MatVecThreads, weights, kernels.LayOut(typ, x), y, uint32(rows), uint32(columns))
				want := kernels.MatVec(typ, weights, x, rows, columns)
				if e := kernels.MaxError(y, want); !(e <= kernels.Tolerance) {
					t.Errorf("error %g of the largest entry, more than %g: %v, want %v", e, kernels.Tolerance, y, want)
				} else {
					t.Logf("error %.2g", e)
				}
			})
		}
	}
}

func TestFMA(t *testing.T) {
	g := emulate(t)
	for _, iterations := range []int{8, 301} {
		const grid = 2
		out := make([]float32, grid*kernels.ComputeThreads*kernels.FMAChains)
		clocks := make([]uint64, 2)
		g.must("ls_fma", grid, kernels.ComputeThreads, out, clocks, uint32(iterations), kernels.FMAOne, kernels.FMAStep, kernels.FMAFactor)
		if err := kernels.CheckFMA(out, iterations); err != nil {
			t.Error(err)
		}
		if clocks[0] == 0 || clocks[1] == 0 {
			t.Errorf("clocks %v: the block took no time", clocks)
		}
		if err := kernels.CheckFMA(out, iterations+1); err == nil {
			t.Error("an iteration too few is not seen")
		}
		out[5] *= 1 + 1e-6
		if err := kernels.CheckFMA(out, iterations); err == nil {
			t.Error("a wrong chain is not seen")
		}
	}
}

func TestMMA(t *testing.T) {
	g := emulate(t)
	m := kernels.NewMMA(9)
	a, b, c := m.Fragments()
	const grid, iterations = 2, 5
	out := make([]float32, grid*kernels.ComputeThreads/32*kernels.MMATiles*128)
	clocks := make([]uint64, 2)
	g.must("ls_mma_f16", grid, kernels.ComputeThreads, a, b, c, out, clocks, uint32(iterations))
	if err := m.Check(out, iterations); err != nil {
		t.Error(err)
	}
	if err := m.Check(out, iterations-1); err == nil {
		t.Error("an iteration too many is not seen")
	}
	out[777] += 1.0 / (1 << 20)
	if err := m.Check(out, iterations); err == nil {
		t.Error("a wrong sum is not seen")
	}
}

func TestControl(t *testing.T) {
	g := emulate(t)
	g.must("ls_empty", 3, 64)
	timedOut := []uint32{0}
	g.must("ls_block", 1, 1, []uint32{1}, timedOut, uint64(1e15))
	if timedOut[0] != 0 {
		t.Error("a released stream is called timed out")
	}
	g.must("ls_block", 1, 1, []uint32{0}, timedOut, uint64(1e6))
	if timedOut[0] != 1 {
		t.Error("a stream that nobody released did not time out")
	}
}

func TestEmulationRefuses(t *testing.T) {
	g := emulate(t)
	for _, c := range []struct {
		want string
		err  error
	}{
		{"no kernel ls_none", g.launch("ls_none", 1, 32)},
		{"ls_fill takes 3 arguments", g.launch("ls_fill", 1, 32)},
		{"no such launch", g.launch("ls_empty", 1, 1025)},
		// Half a warp cannot shuffle.
		{"a shuffle reads a lane that is not there", g.launch("ls_pattern_sum", 1, 16, uint64(1), uint32(0), make([]uint32, 1))},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want %q", c.err, c.want)
		}
	}
}

// TestNumbersAgree compares what Go and the kernels each say in their own words.
func TestNumbersAgree(t *testing.T) {
	header, err := os.ReadFile("kernels.h")
	if err != nil {
		t.Skip("kernels.h is not here: this test runs in the source tree")
	}
	for name, want := range map[string]int{
		"LS_MATVEC_THREADS": kernels.MatVecThreads, "LS_COMPUTE_THREADS": kernels.ComputeThreads, "LS_FMA_CHAINS": kernels.FMAChains,
		"LS_FMA_COUNTERS": kernels.FMACounters, "LS_FMA_UNROLL": kernels.FMAUnroll, "LS_MMA_TILES": kernels.MMATiles,
	} {
		m := regexp.MustCompile(`#define ` + name + `\s+(\d+)`).FindSubmatch(header)
		if m == nil {
			t.Errorf("kernels.h does not define %s", name)
		} else if got, _ := strconv.Atoi(string(m[1])); got != want {
			t.Errorf("%s is %d in kernels.h and %d in Go", name, got, want)
		}
	}
	definition := regexp.MustCompile(`(?s)LS_KERNEL(?:\s+__launch_bounds__\(\w+\))?\s+(ls_\w+)\(`)
	for _, file := range []string{"bandwidth", "compute", "control", "launch", "matvec"} {
		source, err := os.ReadFile(file + ".cu")
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, m := range definition.FindAllSubmatch(source, -1) {
			found[string(m[1])] = true
			if kernels.Files[string(m[1])] != file {
				t.Errorf("%s stands in %s.cu, and kernels.Files says %q", m[1], file, kernels.Files[string(m[1])])
			}
		}
		for name, f := range kernels.Files {
			if f == file && !found[name] {
				t.Errorf("kernels.Files names %s in %s.cu, which does not hold it", name, file)
			}
		}
	}
}
