package plottest

import (
	"llmscale/analysis"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// AddCeilings makes up what the machine of r can do: a cache of 16 MiB that two
// threads read at 160 GB/s, memory at 50 GB/s; and how near decode came to it.
func AddCeilings(r *analysis.Result) {
	d := ceilings.Device{Kind: ceilings.CPU, Name: "Made-up CPU @ 2.0 GHz", Threads: 2}
	for size := int64(64 << 10); size <= 512<<20; size *= 2 {
		rate := 50e9
		switch {
		case size <= 1<<20:
			rate = 320e9
		case size <= 16<<20:
			rate = 160e9
		case size == 32<<20:
			rate = 90e9
		}
		d.Bandwidth = append(d.Bandwidth, ceilings.Bandwidth{Op: ceilings.Read, WorkingSetB: size, BytesPerS: rate, BestBytesPerS: rate, Passes: 5})
	}
	e := ceilings.NewEnvelope(d)
	r.Ceilings = []analysis.DeviceCeiling{{
		Kind: d.Kind, Name: d.Name, Threads: 2, Sessions: 1, Read: ceilings.ReadRates(d), Envelope: e.Rates(),
		FMA32: new(0.36), StartUS: new(0.43), StartHow: ceilings.Barrier, Missing: map[string]string{"matvec": "measured on GPUs only"},
	}}
	for _, c := range r.Cells {
		if c.Mode != record.ModeDecode {
			continue
		}
		s := analysis.CeilingShare{Backend: c.Backend, BackendKind: c.BackendKind, BatchSize: c.BatchSize, Model: c.Model, ParamsM: c.ParamsM,
			Scenario: c.Scenario, Device: d.Kind, Threads: 2, N: c.N, MSPerToken: *c.MSPerToken}
		for _, m := range r.Models {
			if m.Backend == c.Backend && m.Name == c.Model {
				s.WeightBytes, s.KVBytes = m.BytesPerToken, int64(float64(m.KVBytesPerToken)*(*c.PromptTokens+(*c.GenTokensTarget+1)/2))
			}
		}
		rate := float64(s.Bytes()) / (s.MSPerToken * 1e-3)
		most, reached := e.At(s.Bytes())
		s.GBPerS, s.Ceiling, s.Reached = new(rate/1e9), new(most/1e9), new(reached/1e9)
		s.Share, s.ShareHigh = new(rate/most), new(rate/reached)
		r.CeilingShares = append(r.CeilingShares, s)
	}
}
