package celltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func Jitter(i int) float64 { return 0.01 * float64(i%3-1) }

// GpuRun makes up a run on a GPU: three sizes, four repetitions of answers of ten
// tokens, each call of which the device is busy for all but 1 % of the host's time.
func GpuRun(change func(r *runs.Row)) []runs.Row {
	rows := Plan{Models: 3, Reps: 4, Gen: 10, Backends: []string{"gpu"}, Scenarios: []string{"a", "b"}, PerToken: func(m int) float64 { return float64(m + 1) }}.Rows(1)
	for i := range rows {
		r := &rows[i]
		ms := *r.LatencyMS
		r.Device, r.NGPULayers, r.GPUName = "cuda", r.NLayer+1, new("Made-up GPU")
		r.CUDAEventMS, r.HostGapMS, r.GraphCaptures = new(0.99*ms), new(0.01*ms), new(int64(0))
		if r.IsWarmup {
			*r.GraphCaptures = 2
		}
		r.VRAMBeforeMiB, r.VRAMLoadedMiB, r.VRAMContextMiB, r.GPUPeakMB = new(500.0), new(1500.0), new(1700.0), new(1900.0)
		r.VRAMWeightsMiB, r.VRAMKVMiB, r.VRAMComputeMiB = new(900.0), new(100.0), new(150.0)
		r.SplitsPrefill, r.SplitsDecode, r.CPUOpsPrefill, r.CPUOpsDecode = new(2), new(2), new(1), new(1)
		r.CPUBytesPrefill, r.CPUBytesDecode, r.CPUOpNames = new(int64(9000)), new(int64(1000)), []string{"GET_ROWS x 1"}
		r.PowerMeanW, r.EnergyJ, r.EnergyUncertaintyJ = new(300.0), new(20.0), new(3.0)
		r.SMClockMedianMHz, r.SMClockMinMHz, r.MemClockMedianMHz, r.TemperatureMaxC = new(1700.0), new(1600.0), new(2600.0), new(55.0)
		r.ThrottleReasons = []string{"gpu_idle", "sw_power_cap"}
		if change != nil {
			change(r)
		}
	}
	return rows
}

// Resize gives the models other sizes, in million parameters.
func Resize(rows []runs.Row, sizes ...float64) []runs.Row {
	for i := range rows {
		for m, size := range sizes {
			if rows[i].Model == fmt.Sprintf("m%02d", m) {
				rows[i].ParamsMillions, rows[i].ParamsTotal = size, int64(size*1e6)
			}
		}
	}
	return rows
}

// Near compares with a second implementation.
func Near(t *testing.T, what string, got *float64, want, tolerance float64) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is unknown, want %v", what, want)
	} else if math.Abs(*got-want) > tolerance*max(1, math.Abs(want)) {
		t.Errorf("%s = %.12g, want %.12g", what, *got, want)
	}
}

// Printed compares with a published figure, to the digits that were printed.
func Printed(t *testing.T, what string, got *float64, want string) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is unknown, want %s", what, want)
		return
	}
	digits := 0
	if i := strings.IndexByte(want, '.'); i >= 0 {
		digits = len(want) - i - 1
	}
	text := strconv.FormatFloat(*got, 'f', digits, 64)
	if w, _ := strconv.ParseFloat(want, 64); text != strconv.FormatFloat(w, 'f', digits, 64) {
		t.Errorf("%s = %.6f prints as %s, published %s", what, *got, text, want)
	}
}

// LengthRun makes records of answers of several lengths, one scenario for each,
// by models m00, m01, ... decode gives a call's time in ms; step, where it is not
// nil, the time of one decode step in ns.
func LengthRun(models int, gens []int, reps int, decode func(model, gen, rep int) float64, step func(model, pos int) int64) []runs.Row {
	p := Plan{Models: 1, Reps: 1, Gen: 1, PerToken: func(int) float64 { return 1 }}
	rng := rand.New(rand.NewPCG(1, 1)) // p.call's own times are replaced below
	var rows []runs.Row
	for m := range models {
		for task, gen := range gens {
			for rep := range reps {
				for _, r := range p.Call(rng, "cpu", fmt.Sprintf("gen%d", gen), m, rep+1, len(gens)*m+task) {
					ms := decode(m, gen, rep)
					r.GenTokensTarget, r.GenTokens, r.GenTokensRaw = gen, new(gen), new(gen)
					r.KVDecodeMS, r.E2EKVMS, r.PrefillMS = &ms, new(ms+5), new(5.0)
					r.LatencyMS = map[string]*float64{record.ModePrefill: r.PrefillMS, record.ModeDecode: r.KVDecodeMS, record.ModeE2E: r.E2EKVMS}[r.Mode]
					r.TokenNS = nil
					if step != nil {
						for i := range gen {
							r.TokenNS = append(r.TokenNS, step(m, i))
						}
					}
					r.Line = len(rows) + 1
					rows = append(rows, r)
				}
			}
		}
	}
	return rows
}

func Affine(fixed, perToken float64) func(int, int, int) float64 {
	return func(_, gen, _ int) float64 { return fixed + perToken*float64(gen) }
}

// Spoil makes the calls that which names INVALID, and absurdly slow: a figure that
// one of them reaches is seen at once.
func Spoil(rows []runs.Row, which func(r *runs.Row) bool) {
	for i := range rows {
		r := &rows[i]
		if !which(r) {
			continue
		}
		r.Verdict, r.VerdictReasons = new(record.VerdictInvalid), []string{"another program uses the GPU: process 4711 (other)"}
		for _, ms := range []**float64{&r.LatencyMS, &r.CUDAEventMS} {
			if *ms != nil {
				*ms = new(1e6)
			}
		}
		for k := range r.TokenNS {
			r.TokenNS[k] = 1e12
		}
	}
}

// Partly makes prefill and e2e_kv of calls INVALID, as a prompt does that a server
// had in its cache.
func Partly(rows []runs.Row, reason string, which func(r *runs.Row) bool) {
	for i := range rows {
		if r := &rows[i]; which(r) && r.Mode != record.ModeDecode {
			r.Verdict, r.VerdictReasons, r.LatencyMS = new(record.VerdictInvalid), []string{reason}, new(1e6)
		}
	}
}

// TypeRun makes records of one model in several weight types, a backend for each:
// 10 tokens, 4 calls that scatter by 0.1 %, ms per token as given.
func TypeRun(types []string, mb []float64, ms func(mb float64) float64) []runs.Row {
	var rows []runs.Row
	for i, typ := range types {
		perToken := ms(mb[i])
		for _, r := range LengthRun(1, []int{10}, 4, func(_, gen, rep int) float64 {
			return float64(gen) * perToken * (1 + 0.001*[]float64{-1, 0, 0, 1}[rep])
		}, nil) {
			r.Backend, r.WeightType, r.BytesPerToken = "cpu_"+typ, typ, int64(mb[i]*1e6)
			r.WeightBytes = r.BytesPerToken
			r.Device = "cpu"
			r.Line = len(rows) + 1
			rows = append(rows, r)
		}
	}
	return rows
}

// Set sorts records into cells, without a bootstrap.
func Set(t testing.TB, rows []runs.Row) *cells.Set {
	t.Helper()
	return sorted(t, &runs.Run{Harness: runs.HarnessLLMScale, Rows: rows})
}

// Load has the cells of a run folder, without bootstrap.
func Load(t testing.TB, dir string) *cells.Set {
	t.Helper()
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return sorted(t, run)
}

func sorted(t testing.TB, run *runs.Run) *cells.Set {
	t.Helper()
	set, err := cells.New(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func Codes(ws []finding.Warning) (out []string) {
	for _, w := range ws {
		out = append(out, w.Code)
	}
	return out
}

// Markdown is the text of sections, without drawings.
func Markdown(t testing.TB, sections ...doc.Section) string {
	t.Helper()
	d := &doc.Document{}
	for _, s := range sections {
		d.AddSection(s, nil)
	}
	md, err := d.Markdown(".")
	if err != nil {
		t.Fatal(err)
	}
	return md
}

// OtherWays of measuring make calls of other work: none of them is joined with what
// was measured without.
var OtherWays = map[string]func(*runs.Row){
	"program":  func(r *runs.Row) { r.Program = "bin/other" },
	"flags":    func(r *runs.Row) { r.BuildFlags = "-O2" },
	"compiler": func(r *runs.Row) { r.BuildCompiler = "clang" },
	"features": func(r *runs.Row) { r.CPUFeatures = "AMX" },
	"commit":   func(r *runs.Row) { r.LlamaCommit = "def" },
	"pace":     func(r *runs.Row) { r.Pace = new("cold") },
	"idle":     func(r *runs.Row) { r.Pace, r.IdleMS = new("cold"), new(5) },
	"affinity": func(r *runs.Row) { r.CPUAffinity = new("0-1") },
	"batch":    func(r *runs.Row) { r.BatchSizeConfig, r.BatchSize = 4, new(4) },
}
