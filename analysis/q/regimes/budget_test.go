package regimes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/weights"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// readsAt is a device that reads small sets at 100 GB/s and those of 32 MiB and
// more at 10 GB/s.
func readsAt(kind string, threads int, by float64) ceilings.Device {
	d := ceilings.Device{Kind: kind, Name: "made up", Threads: threads, NotMeasured: map[string]string{"matvec": "because"}}
	for size := int64(1 << 20); size <= 256<<20; size *= 2 {
		rate := 100e9
		if size >= 32<<20 {
			rate = 10e9
		}
		d.Bandwidth = append(d.Bandwidth, ceilings.Bandwidth{Op: ceilings.Read, WorkingSetB: size, BytesPerS: rate * by / 2, BestBytesPerS: rate * by, Passes: 5})
	}
	d.Compute = []ceilings.Compute{{Unit: ceilings.FMA32, BestFlopPerS: 2e11 * by, FlopPerS: 1e11 * by}}
	d.Launch = []ceilings.Launch{{How: ceilings.Barrier, US: 3 / by}}
	return d
}

func probed() *ceilings.File {
	return &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1), readsAt("cpu", 4, 9)}}
}

func asked(t testing.TB, rows []runs.Row, f *ceilings.File) *Answer {
	t.Helper()
	c, err := cells.New(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows, Ceilings: f}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return Ask(c, intervals.Ask(c), weights.Ask(c))
}

// world makes runs of a ladder whose cells take what known costs say.
type world struct {
	costs            costs
	sizes            int
	prompts, batches []int
	scatter          float64 // of a cell's time, as a logarithm
	f                *ceilings.File
	change           func(r *runs.Row)
}

const worldGen = 10

// rows gives each cell the time that the costs say, and the true samples.
func (w world) rows(t testing.TB, seed uint64) ([]runs.Row, map[cells.Key]sample) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 9))
	p := celltest.Plan{Models: 1, Reps: 1, Gen: worldGen, PerToken: func(int) float64 { return 1 }}
	var rows []runs.Row
	for _, batch := range w.batches {
		for m := range w.sizes {
			for _, prompt := range w.prompts {
				for call := 1; call <= 2; call++ {
					for _, r := range p.Call(rng, fmt.Sprintf("cpu_bs%d", batch), fmt.Sprintf("p%d", prompt), m, call, len(rows)) {
						width := 128 * (m + 2)
						r.NLayer, r.NEmbd, r.NHead, r.HeadDim, r.NVocab, r.NUBatch = m+2, width, 2, width/2, 4096, 512
						r.ParamsNonEmbedding = int64(12 * width * width * (m + 2))
						r.ParamsTotal = r.ParamsNonEmbedding + int64(4096*width)
						r.ParamsActive, r.BytesPerToken, r.KVBytesPerToken = r.ParamsTotal, 2*r.ParamsTotal, int64(4*width*(m+2))
						r.ParamsMillions = float64(r.ParamsTotal) / 1e6
						r.BatchSizeConfig, r.BatchSize, r.SeqLen, r.PromptTokensRaw = batch, new(batch), new(prompt), new(prompt*batch)
						r.TokenNS = nil
						if w.change != nil {
							w.change(&r)
						}
						r.Line = len(rows) + 1
						rows = append(rows, r)
					}
				}
			}
		}
	}
	truth := map[cells.Key]sample{}
	for _, b := range asked(t, rows, w.f).Budgets {
		truth[b.Series().Key(b.Model, b.Scenario, b.Mode)] = b.sample
	}
	times := map[cells.Key]float64{}
	for i := range rows {
		r := &rows[i]
		k := cells.SeriesOf(r).Key(r.Model, r.Scenario, r.Mode)
		s, ok := truth[k]
		if !ok {
			continue
		}
		if times[k] == 0 {
			times[k] = s.total(&w.costs) * math.Exp(w.scatter*rng.NormFloat64())
		}
		ms := times[k]
		if r.Mode == record.ModeDecode {
			ms *= worldGen
			r.KVDecodeMS = &ms
		} else {
			r.PrefillMS = &ms
		}
		r.LatencyMS = &ms
	}
	return rows, truth
}

// onLadder are costs under which the smallest models pay overhead, those within 32 MiB
// compute and the largest memory.
var onLadder = world{sizes: 9, prompts: []int{1, 16, 64}, batches: []int{1, 8}, scatter: 0.05, f: probed(),
	costs: costs{perCall: 0.2, perLayer: 0.05, perWeight: 1e-8, perOp: 3e-8, perPosition: 6e-8}}

// true shares of a sample, by what may bind it.
func (w *world) shares(s sample, probed bool) map[string]float64 {
	t := s.total(&w.costs)
	out := map[string]float64{Overhead: s.fixed(&w.costs) / t}
	if probed {
		out["reading"], out[Compute] = s.read/t, s.compute(&w.costs)/t
	} else {
		out[Weights], out[Compute] = s.sum(&w.costs, perWeight, perWeight)/t+s.sum(&w.costs, perByte, perByte)/t, s.sum(&w.costs, perOp, perPosition)/t
	}
	return out
}

// TestRegimesRecovered: on runs made from known costs the shares are theirs, and a regime
// that is named is the true one but for 5 %, with the probe and without.
func TestRegimesRecovered(t *testing.T) {
	trials := uint64(4)
	if os.Getenv("LLMSCALE_TRIALS") == "all" {
		trials = 200
	}
	for _, probe := range []bool{true, false} {
		w := onLadder
		if !probe {
			w.f, w.costs[perWeight], w.costs[perCall] = nil, 4e-7, 2
		}
		named, wrong, all, far := 0, 0, 0, 0
		regimes := map[string]int{}
		for seed := range trials {
			rows, truth := w.rows(t, seed)
			for _, b := range asked(t, rows, w.f).Budgets {
				s := truth[b.Series().Key(b.Model, b.Scenario, b.Mode)]
				shares := w.shares(s, probe)
				all++
				regimes[b.Regime]++
				if math.Abs(*b.FixedMS / *b.TimeMS - shares[Overhead]) > 0.15 || math.Abs(*b.ResidualMS / *b.TimeMS) > 0.15 {
					far++
				}
				if b.Regime == Unknown {
					continue
				}
				named++
				is := b.Regime
				if is == Cache || is == Memory {
					is = "reading"
				}
				for other, share := range shares {
					if share > shares[is] && other != is {
						wrong++
						break
					}
				}
			}
		}
		t.Logf("probe %v: %d cells, %d named, %d of them wrong, %d shares off by more than 15 points: %v", probe, all, named, wrong, far, regimes)
		if float64(wrong) > 0.05*float64(named) || float64(named) < 0.7*float64(all) || float64(far) > 0.05*float64(all) {
			t.Errorf("probe %v: %d of %d named, %d of them wrong, %d far off", probe, named, all, wrong, far)
		}
		want := []string{Overhead, Compute, Memory}
		if !probe {
			want = []string{Overhead, Compute, Weights}
		}
		for _, r := range want {
			if regimes[r] == 0 {
				t.Errorf("probe %v: no cell is %s-bound: %v", probe, r, regimes)
			}
		}
	}
}

// TestParts: a budget's parts add up to the time, and lie in their intervals.
func TestParts(t *testing.T) {
	rows, _ := onLadder.rows(t, 1)
	for _, b := range asked(t, rows, onLadder.f).Budgets {
		if got := *b.FixedMS + *b.ReadMS + *b.ComputeMS - *b.OverlapMS + *b.ResidualMS; math.Abs(got / *b.TimeMS - 1) > 1e-9 {
			t.Errorf("%s %s: the parts make %v of %v ms", b.Model, b.Scenario, got, *b.TimeMS)
		}
		for _, in := range []struct {
			v  float64
			ci *stats.Interval
		}{{*b.FixedMS, b.FixedCI}, {*b.ReadMS, b.ReadCI}, {*b.ComputeMS, b.ComputeCI}} {
			if in.v < in.ci.Low-1e-9 || in.v > in.ci.High+1e-9 {
				t.Errorf("%s %s: %v is not in %v", b.Model, b.Scenario, in.v, *in.ci)
			}
		}
	}
}

// TestResidual: a model that takes three times what the law says has the rest as a
// residual, and no regime.
func TestResidual(t *testing.T) {
	w := onLadder
	rows, _ := w.rows(t, 1)
	for i := range rows {
		if r := &rows[i]; r.Model == "m04" && r.Mode == record.ModeDecode {
			*r.LatencyMS *= 3
		}
	}
	for _, b := range asked(t, rows, w.f).Budgets {
		if b.Model != "m04" || b.Mode != record.ModeDecode {
			continue
		}
		if share := *b.ResidualMS / *b.TimeMS; math.Abs(share-2./3) > 0.1 || b.Regime != Unknown {
			t.Errorf("%s %s: residual %.2f, %s", b.Backend, b.Scenario, share, b.Regime)
		}
	}
}

// TestHost: on a GPU the host's part is measured, and overhead.
func TestHost(t *testing.T) {
	w := onLadder
	w.batches, w.f = []int{1}, &ceilings.File{Devices: []ceilings.Device{readsAt("cuda", 0, 1)}}
	w.change = func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", -1 }
	rows, _ := w.rows(t, 1)
	for i := range rows {
		r := &rows[i]
		device := *r.LatencyMS
		r.LatencyMS, r.CUDAEventMS, r.HostGapMS = new(4*device), new(device), new(3*device)
	}
	for _, b := range asked(t, rows, w.f).Budgets {
		if math.Abs(*b.HostMS / *b.TimeMS - 0.75) > 1e-9 || b.Regime != Overhead || math.Abs(*b.ResidualMS / *b.TimeMS) > 0.05 {
			t.Errorf("%s %s %s: host %v of %v ms, residual %v, %s %v", b.Model, b.Scenario, b.Mode, *b.HostMS, *b.TimeMS, *b.ResidualMS, b.Regime, b.Between)
		}
	}
}

// TestWork: a second implementation, by hand.
func TestWork(t *testing.T) {
	m := &cells.Model{NLayer: 3, NEmbd: 8, NHead: 2, NVocab: 100, ParamsTotal: 5000, ParamsActive: 5000, ParamsNonEmbedding: 4000, BytesPerToken: 9600, KVBytesPerToken: 10}
	row := celltest.Plan{Models: 1, Reps: 1, Gen: 9, Backends: []string{"cpu"}, Scenarios: []string{"p"}, PerToken: func(int) float64 { return 1 }}.Rows(1)[0]
	row.HeadDim, row.NUBatch = 4, 4
	decode := &cells.Cell{Mode: record.ModeDecode, Subject: cells.Subject{BatchSize: 2}, Depth: 100, PromptTokensRaw: new(6.0), GenTokens: new(9.0)}
	w, ok := workOf(m, decode, &row)
	// Each of two sequences: 100 in the cache, a prompt of 3, and on average the fifth of 9 steps.
	if positions := 2.0 * (100 + 3 + 5); !ok || w.tokens != 2 || w.passes != 1 || w.weights != 4000+800 || w.ops != 2*4800*2 || w.attend != 4*3*8*positions || w.kvB != int64(10*positions) || w.weightsB != 9600 {
		t.Errorf("decode: %+v", w)
	}
	prefill := &cells.Cell{Mode: record.ModePrefill, Subject: cells.Subject{BatchSize: 2}, PromptTokensRaw: new(6.0)}
	w, ok = workOf(m, prefill, &row)
	// Three tokens each look at 1, 2 and 3 positions; the head is for the last alone; 6 tokens are two passes of at most 4.
	if !ok || w.tokens != 6 || w.passes != 2 || w.ops != 2*(4000*6+800*2) || w.attend != 4*3*8*2*(1+2+3) || w.kvB != 10*2*2 {
		t.Errorf("prefill: %+v", w)
	}
	m.ParamsActive = 4000 // a quarter of the blocks' weights are experts that rest
	if w, _ = workOf(m, decode, &row); w.weights != 3000+800 {
		t.Errorf("experts: %+v", w)
	}
	m.BytesPerToken = 0
	if _, ok = workOf(m, decode, &row); ok {
		t.Error("work without bytes")
	}
}

// TestWalls: what is not in the device's memory is a wall, whatever its parts.
func TestWalls(t *testing.T) {
	gpu := &ceilings.File{Devices: []ceilings.Device{readsAt("cuda", 0, 10)}}
	for _, c := range []struct {
		name, regime, reason string
		change               func(r *runs.Row)
	}{
		{"split", Wall, "2 of 3 layers", func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", 2 }},
		{"no layer", Wall, "0 of 3 layers", func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", 0 }},
		{"whole", Unknown, "fewer than 3 sizes", func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", 3 }},
		{"all", Unknown, "fewer than 3 sizes", func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", -1 }},
		{"paged", Wall, "page faults", func(r *runs.Row) { r.MajorFaults = new(int64(1 << 20)) }},
		{"a few faults", Unknown, "fewer than 3 sizes", func(r *runs.Row) { r.MajorFaults = new(int64(1)) }},
		{"too large", Wall, "did not fit", func(r *runs.Row) { r.Status, r.LatencyMS = record.StatusOOM, nil }},
		{"no prompt", Unknown, "not known", func(r *runs.Row) { r.PromptTokensRaw, r.TokensTotal, r.SeqLen = nil, nil, nil }},
		{"experts", Unknown, "how many experts", func(r *runs.Row) { r.BatchSize, r.ParamsActive = new(4), r.ParamsTotal/2 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := world{sizes: 2, prompts: []int{16}, batches: []int{1}, f: gpu}
			rows, _ := w.rows(t, 1)
			for i := range rows {
				rows[i].LatencyMS = new(100.0)
				rows[i].NLayer = 2
				if rows[i].Model == "m00" {
					c.change(&rows[i])
				}
			}
			a := asked(t, rows, gpu)
			for _, b := range a.Budgets {
				if b.Model == "m00" && (b.Regime != c.regime || !strings.Contains(b.Reason, c.reason)) {
					t.Errorf("%s: %s (%s), want %s (%s)", b.Mode, b.Regime, b.Reason, c.regime, c.reason)
				}
			}
			if n := len(a.Budgets); n != 4 {
				t.Errorf("%d budgets of 2 models in 2 modes", n)
			}
		})
	}
}

// one has one model whose decode steps take ms each.
func one(t *testing.T, f *ceilings.File, ms float64, change func(r *runs.Row)) (*Answer, Budget) {
	t.Helper()
	rows := celltest.LengthRun(1, []int{10}, 3, func(_, gen, _ int) float64 { return float64(gen) * ms }, nil)
	for i := range rows {
		rows[i].BytesPerToken, rows[i].KVBytesPerToken = 100e6, 1e6
		if rows[i].Mode == record.ModePrefill {
			rows[i].LatencyMS = new(1e3)
		}
		if change != nil {
			change(&rows[i])
		}
	}
	a := asked(t, rows, f)
	i := slices.IndexFunc(a.Budgets, func(b Budget) bool { return b.Mode == record.ModeDecode })
	if i < 0 {
		t.Fatalf("no budget of decode: %+v", a.Budgets)
	}
	return a, a.Budgets[i]
}

// TestShares: the shares of the table add up to the measured time.
func TestShares(t *testing.T) {
	rows, _ := onLadder.rows(t, 1)
	table := asked(t, rows, onLadder.f).Tables()[0]
	for row := range table.Rows() {
		sum := 0.0
		for part, sign := range map[string]float64{"fixed": 1, "read": 1, "compute": 1, "overlap": -1, "residual": 1} {
			i := slices.IndexFunc(table.Columns, func(c finding.Column) bool { return c.Name == "share_"+part })
			share, err := strconv.ParseFloat(row[i], 64)
			if err != nil {
				t.Fatal(part, err)
			}
			sum += sign * share
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("they add up to %v: %v", sum, row)
		}
	}
}

// TestCeiling: 100 MB of weights and a cache of 9 + (10+1)/2 positions of 1 MB are
// 114.5 MB a step; in 22.9 ms they come at 5 GB/s, half of the 10 GB/s.
func TestCeiling(t *testing.T) {
	a, b := one(t, probed(), 22.9, nil)
	if b.WeightBytes != 100e6 || b.KVBytes != 14.5e6 || b.Device != "cpu" || b.Threads != 2 || b.N != 3 {
		t.Errorf("%+v", b)
	}
	for what, pair := range map[string][2]float64{
		"rate": {*b.GBPerS, 5}, "ceiling": {*b.Ceiling, 10}, "reached": {*b.Reached, 10}, "share": {*b.Share, 0.5}, "reading": {*b.ReadMS, 11.45}, "residual": {*b.ResidualMS, 11.45},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("%s %v, want %v", what, pair[0], pair[1])
		}
	}
	if w := a.Warnings(); len(w) > 0 {
		t.Errorf("%+v", w)
	}
	if len(a.Devices) != 2 || a.Devices[0].title() != "cpu with 2 threads" || *a.Devices[0].FMA32 != 0.2 {
		t.Errorf("%+v", a.Devices)
	}
	if none, b := one(t, nil, 22.9, nil); none.Devices != nil || b.ReadMS != nil || b.Share != nil {
		t.Error("a run that stored no ceilings has some")
	}
	// One size at its ceiling is known to be there, without a fit.
	if _, b := one(t, probed(), 12, nil); b.Regime != Memory {
		t.Errorf("%s (%s)", b.Regime, b.Reason)
	}
}

// TestEdgeOfACache: 24 MB lie between the last set in the cache and the first one
// beyond; reading takes what either rate says, at best what the cache's says.
func TestEdgeOfACache(t *testing.T) {
	_, b := one(t, probed(), 1, func(r *runs.Row) { r.BytesPerToken, r.KVBytesPerToken = 24e6, 0 })
	if *b.Ceiling != 100 || *b.Reached != 10 || math.Abs(*b.Share-0.24) > 1e-9 || math.Abs(b.ReadCI.Low-0.24) > 1e-9 || math.Abs(b.ReadCI.High-2.4) > 1e-9 || *b.ReadMS <= b.ReadCI.Low || *b.ReadMS >= b.ReadCI.High {
		t.Errorf("%+v", b)
	}
}

// TestAboveCeiling: faster than possible is a warning, with its figures and what
// to do.
func TestAboveCeiling(t *testing.T) {
	f := probed()
	a, _ := one(t, f, 10, nil) // 11.45 GB/s of 10
	w := a.Warnings()
	if len(w) != 1 || w[0].Where != "cpu" || !strings.Contains(w[0].Text, "1 of 2 cells") || !strings.Contains(w[0].Text, "114.5 % of the 10 GB/s") || !strings.Contains(w[0].Advice, "llmscale probe") {
		t.Errorf("%+v", w)
	}
	// A session that measured a quieter machine raises the ceiling.
	f.Devices = append(f.Devices, readsAt("cpu", 2, 2))
	if a, b := one(t, f, 10, nil); len(a.Warnings()) != 0 || *b.Ceiling != 20 || a.Devices[0].Sessions != 2 {
		t.Errorf("%+v, %+v", b, a.Devices)
	}
}

// TestCeilingsByMachine: each type of machine has the ceilings that its own sessions measured.
func TestCeilingsByMachine(t *testing.T) {
	f := &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1), readsAt("cpu", 2, 2), readsAt("cpu", 2, 4)}}
	f.Devices[1].Session, f.Devices[2].Session = 1, 2 // which has no record
	a, _ := one(t, f, 22.9, func(r *runs.Row) {
		r.Session, r.Replicate = *r.Rep%2, *r.Rep%2
		r.MachineID = new([]string{"aaaa-n1", "bbbb-n2"}[*r.Rep%2])
	})
	got := map[string]float64{}
	for _, b := range a.Budgets {
		if b.Ceiling != nil {
			got[b.Backend+" "+b.Machine] = *b.Ceiling
		}
	}
	if len(got) != 2 || got["cpu@unnamed-aaaa unnamed-aaaa"] != 10 || got["cpu@unnamed-bbbb unnamed-bbbb"] != 20 {
		t.Errorf("%v", got)
	}
	if len(a.Devices) != 2 || a.Devices[0].title() != "cpu with 2 threads of unnamed-aaaa" || a.Devices[1].Sessions != 1 {
		t.Errorf("%+v", a.Devices)
	}
}
