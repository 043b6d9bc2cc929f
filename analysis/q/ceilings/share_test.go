package ceilings

import (
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/ceilings"
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

// ceilingRun has one model whose 10 decode steps take ms each, after prompts of 9
// tokens.
func ceilingRun(t *testing.T, f *ceilings.File, ms float64, change func(r *runs.Row)) *Answer {
	t.Helper()
	rows := celltest.LengthRun(1, []int{10}, 3, func(_, gen, _ int) float64 { return float64(gen) * ms }, nil)
	for i := range rows {
		rows[i].BytesPerToken, rows[i].KVBytesPerToken = 100e6, 1e6
		if change != nil {
			change(&rows[i])
		}
	}
	return asked(t, rows, f)
}

func asked(t *testing.T, rows []runs.Row, f *ceilings.File) *Answer {
	t.Helper()
	c, err := cells.New(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows, Ceilings: f}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	return Ask(c)
}

func only(t *testing.T, r *Answer) Share {
	t.Helper()
	if len(r.Shares) != 1 {
		t.Fatalf("%d shares, want 1: %+v", len(r.Shares), r.Shares)
	}
	return r.Shares[0]
}

// TestCeilingShare: 100 MB of weights and a cache of 9 + (10+1)/2 positions of
// 1 MB are 114.5 MB a step; in 22.9 ms they come at 5 GB/s, half of the 10 GB/s.
func TestCeilingShare(t *testing.T) {
	f := &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1), readsAt("cpu", 4, 9)}}
	r := ceilingRun(t, f, 22.9, nil)
	s := only(t, r)
	if s.WeightBytes != 100e6 || s.KVBytes != 14.5e6 || s.Device != "cpu" || s.Threads != 2 || s.N != 3 || s.Reason != "" {
		t.Errorf("%+v", s)
	}
	for what, pair := range map[string][2]float64{
		"rate": {*s.GBPerS, 5}, "ceiling": {*s.Ceiling, 10}, "reached": {*s.Reached, 10}, "share": {*s.Share, 0.5}, "high share": {*s.ShareHigh, 0.5},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("%s %v, want %v", what, pair[0], pair[1])
		}
	}
	if w := r.Warnings(); len(w) > 0 {
		t.Errorf("%+v", w)
	}
	if len(r.Devices) != 2 || r.Devices[0].title() != "cpu with 2 threads" || *r.Devices[0].FMA32 != 0.2 || *r.Devices[0].StartUS != 3 || r.Devices[0].StartHow != ceilings.Barrier {
		t.Errorf("%+v", r.Devices)
	}
	if none := ceilingRun(t, nil, 22.9, nil); none.Devices != nil || none.Shares != nil {
		t.Error("a run that stored no ceilings has some")
	}
}

// TestEdgeOfACache: 24 MB lie between the last set in the cache and the first one
// beyond; the share is of the cache's rate, and of the other's beside it.
func TestEdgeOfACache(t *testing.T) {
	f := &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1)}}
	s := only(t, ceilingRun(t, f, 1, func(r *runs.Row) { r.BytesPerToken, r.KVBytesPerToken = 24e6, 0 }))
	if *s.Ceiling != 100 || *s.Reached != 10 || math.Abs(*s.Share-0.24) > 1e-9 || math.Abs(*s.ShareHigh-2.4) > 1e-9 {
		t.Errorf("%+v", s)
	}
}

// TestAboveCeiling: faster than possible is a warning, with its figures and what
// to do.
func TestAboveCeiling(t *testing.T) {
	f := &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1)}}
	r := ceilingRun(t, f, 10, nil) // 11.45 GB/s of 10
	w := r.Warnings()
	if len(w) != 1 || w[0].Where != "cpu" || !strings.Contains(w[0].Text, "1 of 1 cells") || !strings.Contains(w[0].Text, "114.5 % of the 10 GB/s") || !strings.Contains(w[0].Advice, "llmscale probe") {
		t.Errorf("%+v", w)
	}
	// A session that measured a quieter machine raises the ceiling.
	f.Devices = append(f.Devices, readsAt("cpu", 2, 2))
	r = ceilingRun(t, f, 10, nil)
	if s := only(t, r); len(r.Warnings()) != 0 || *s.Ceiling != 20 || r.Devices[0].Sessions != 2 || *r.Devices[0].StartUS != 1.5 {
		t.Errorf("%+v, %+v", s, r.Devices)
	}
}

func TestNoShare(t *testing.T) {
	gpu := &ceilings.File{Devices: []ceilings.Device{readsAt("cuda", 0, 10)}}
	for _, c := range []struct {
		name   string
		f      *ceilings.File
		change func(r *runs.Row)
		reason string // "" where there is a share
	}{
		{"all on the GPU", gpu, func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", -1 }, ""},
		{"all layers by number", gpu, func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", r.NLayer+1 }, ""},
		{"split", gpu, func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", r.NLayer }, "2 of 3 layers"},
		{"no layer on the GPU", gpu, func(r *runs.Row) { r.Device, r.NGPULayers = "cuda", 0 }, "0 of 3 layers"},
		{"other threads", &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 8, 1)}}, nil, "no ceilings of cpu with 2 threads"},
		{"other device", gpu, nil, "no ceilings of cpu with 2 threads"},
		{"nothing measured", &ceilings.File{Devices: []ceilings.Device{{Kind: "cpu", Threads: 2}}}, nil, "no ceilings of cpu"},
		{"no bytes", gpu, func(r *runs.Row) { r.BytesPerToken = 0 }, "not known"},
		{"a batch of experts", gpu, func(r *runs.Row) {
			r.Device, r.NGPULayers, r.BatchSize, r.ParamsActive = "cuda", -1, new(4), r.ParamsTotal/2
		}, "how many experts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := only(t, ceilingRun(t, c.f, 50, c.change))
			if c.reason == "" && (s.Share == nil || s.Reason != "") || c.reason != "" && (s.Share != nil || !strings.Contains(s.Reason, c.reason)) {
				t.Errorf("%+v, want %q", s, c.reason)
			}
		})
	}
}

// TestBatchReadsWeightsOnce: four sequences read the weights together and a cache
// each.
func TestBatchReadsWeightsOnce(t *testing.T) {
	f := &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1)}}
	s := only(t, ceilingRun(t, f, 50, func(r *runs.Row) { r.BatchSize, r.PromptTokensRaw = new(4), new(4*9) }))
	if s.BatchSize != 4 || s.WeightBytes != 100e6 || s.KVBytes != 4*14.5e6 {
		t.Errorf("%+v", s)
	}
}

// TestPrefillHasNoShare: only decode is held against reading.
func TestPrefillHasNoShare(t *testing.T) {
	f := &ceilings.File{Devices: []ceilings.Device{readsAt("cpu", 2, 1)}}
	r := ceilingRun(t, f, 22.9, nil)
	if n := len(r.set.Cells); n != 3 || len(r.Shares) != 1 {
		t.Errorf("%d cells, %d shares", n, len(r.Shares))
	}
}

// TestReadsTheDepth: a step at depth reads that much more of the KV cache.
func TestReadsTheDepth(t *testing.T) {
	m := &cells.Model{Device: "cpu", BytesPerToken: 1000, KVBytesPerToken: 10}
	at := func(depth int) int64 {
		s := shareOf(&ceilings.File{}, m, &cells.Cell{BatchSize: 2, Depth: depth, PromptTokensRaw: new(6.0), GenTokens: new(9.0), MSPerToken: new(1.0)}, -1)
		return s.KVBytes
	}
	if at(0) != 10*(5*2+6) || at(4096) != 10*((4096+5)*2+6) {
		t.Errorf("%d and %d bytes", at(0), at(4096))
	}
}
