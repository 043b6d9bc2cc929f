package analysis

import (
	"cmp"
	"fmt"
	"maps"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// DeviceCeiling is what a device of the run could do at most, the best of what
// its sessions measured.
type DeviceCeiling struct {
	Kind     string            `json:"kind"` // cpu or cuda
	Name     string            `json:"name"`
	Threads  int               `json:"n_threads"` // of a CPU; 0 on a GPU
	Sessions int               `json:"measurements"`
	Read     []ceilings.Rate   `json:"read"`     // best rates by working set, as measured
	Envelope []ceilings.Rate   `json:"envelope"` // what shares are taken of: see ceilings.Envelope
	PeakGBPS *float64          `json:"peak_gb_per_s"`
	FMA32    *float64          `json:"fma_f32_tflop_per_s"`
	TensorHF *float64          `json:"tensor_f16_tflop_per_s"`
	StartUS  *float64          `json:"start_us"` // of the cheapest way to start work
	StartHow string            `json:"start_how"`
	Missing  map[string]string `json:"not_measured"` // of the last measurement
}

// Is reports whether the ceilings are those of a device of a kind; of a CPU with
// that number of threads.
func (d *DeviceCeiling) Is(kind string, threads int) bool {
	return d.Kind == kind && (kind != ceilings.CPU || d.Threads == threads)
}

// Device names the device as sentences do.
func (d *DeviceCeiling) Device() string { return deviceName(d.Kind, d.Threads) }

func deviceName(kind string, threads int) string {
	switch {
	case kind != ceilings.CPU:
		return kind
	case threads == 1:
		return kind + " with 1 thread"
	}
	return fmt.Sprintf("%s with %d threads", kind, threads)
}

// CeilingShare is how near one cell's decode came to what its device can read.
type CeilingShare struct {
	Backend     string   `json:"backend"`
	BackendKind string   `json:"backend_kind"`
	BatchSize   int      `json:"batch_size"`
	Model       string   `json:"model"`
	ParamsM     *float64 `json:"params_millions_effective"`
	Scenario    string   `json:"scenario"`
	Device      string   `json:"device"`
	Threads     int      `json:"n_threads"`
	N           int      `json:"n"`

	WeightBytes int64    `json:"weight_bytes_read"` // by one step
	KVBytes     int64    `json:"kv_bytes_read"`     // by one step, mean over the answer
	MSPerToken  float64  `json:"ms_per_token_median"`
	GBPerS      *float64 `json:"read_gb_per_s"`
	Ceiling     *float64 `json:"ceiling_gb_per_s"`         // nothing measured says that it can be exceeded
	Reached     *float64 `json:"ceiling_reached_gb_per_s"` // a working set of this size or larger was read at that rate
	Share       *float64 `json:"share"`                    // of Ceiling
	ShareHigh   *float64 `json:"share_of_reached"`         // of Reached
	Reason      string   `json:"reason"`                   // why there is no share
}

// Bytes is what one step reads.
func (s *CeilingShare) Bytes() int64 { return s.WeightBytes + s.KVBytes }

// ceilings sets decode beside what the run's devices can read.
func (a *analyzer) ceilings() {
	f := a.Run.Ceilings
	if f == nil {
		return
	}
	for _, d := range f.Devices {
		known := false
		for i := range a.res.Ceilings {
			known = known || a.res.Ceilings[i].Is(d.Kind, d.Threads)
		}
		if !known {
			a.res.Ceilings = append(a.res.Ceilings, joinCeilings(f.Of(d.Kind, d.Threads)))
		}
	}
	if len(a.res.Ceilings) == 0 {
		return
	}
	for i := range a.Cells {
		c := &a.Cells[i]
		if c.Mode != record.ModeDecode || c.MSPerToken == nil || !(*c.MSPerToken > 0) {
			continue
		}
		rows := a.Group(c.Series().Key(c.Model, c.Scenario, c.Mode)).Rows
		for _, m := range a.ModelsOf(c.Backend) {
			if m.Name == c.Model {
				a.res.CeilingShares = append(a.res.CeilingShares, ceilingShare(f, m, c, rows[0].NGPULayers))
			}
		}
	}
	for _, s := range a.Series {
		a.aboveCeiling(s)
	}
}

// joinCeilings takes the best of several measurements of one device.
func joinCeilings(all []ceilings.Device) DeviceCeiling {
	last := &all[len(all)-1]
	out := DeviceCeiling{
		Kind: last.Kind, Name: last.Name, Threads: last.Threads, Sessions: len(all),
		Read: ceilings.ReadRates(all...), Envelope: ceilings.NewEnvelope(all...).Rates(), Missing: maps.Clone(last.NotMeasured),
	}
	best := func(have **float64, v float64) {
		if v > 0 && (*have == nil || v > **have) {
			*have = new(v)
		}
	}
	for i := range all {
		if p := all[i].PeakBytesPerS; p != nil {
			best(&out.PeakGBPS, *p/1e9)
		}
		for _, c := range all[i].Compute {
			switch c.Unit {
			case ceilings.FMA32:
				best(&out.FMA32, c.BestFlopPerS/1e12)
			case ceilings.TensorFP16:
				best(&out.TensorHF, c.BestFlopPerS/1e12)
			}
		}
		for _, l := range all[i].Launch {
			if l.US > 0 && (out.StartUS == nil || l.US < *out.StartUS) {
				out.StartUS, out.StartHow = new(l.US), l.How
			}
		}
	}
	return out
}

// ceilingShare compares one cell, of a model of which the GPU computes gpuLayers
// layers; a negative number is all of them. Each step reads the weights once, whatever the
// batch, and each sequence's KV cache up to the step's own position.
func ceilingShare(f *ceilings.File, m *cells.Model, c *cells.Cell, gpuLayers int) CeilingShare {
	s := CeilingShare{
		Backend: c.Backend, BackendKind: c.BackendKind, BatchSize: c.BatchSize, Model: c.Model, ParamsM: c.ParamsM, Scenario: c.Scenario,
		Device: m.Device, Threads: m.Threads, N: c.N, MSPerToken: *c.MSPerToken,
	}
	if m.Device != ceilings.CPU {
		s.Threads = 0
	}
	gen, prompt := c.AnswerTokens(), c.PromptTokensRaw
	switch {
	case m.BytesPerToken <= 0 || gen == nil || prompt == nil:
		s.Reason = "what a step reads is not known"
		return s
	case m.ParamsActive < m.ParamsTotal && c.BatchSize > 1:
		s.Reason = "how many experts a batch reads is not known"
		return s
	case m.Device != ceilings.CPU && gpuLayers >= 0 && gpuLayers <= m.NLayer:
		s.Reason = fmt.Sprintf("%d of %d layers (the output head counts as one) are on the GPU: two memories share the reading", gpuLayers, m.NLayer+1)
		return s
	}
	s.WeightBytes = m.BytesPerToken
	s.KVBytes = int64(float64(m.KVBytesPerToken) * ((float64(c.Depth)+(*gen+1)/2)*float64(c.BatchSize) + *prompt))
	rate := float64(s.Bytes()) / (s.MSPerToken * 1e-3)
	s.GBPerS = stats.Finite(rate / 1e9)
	e := ceilings.NewEnvelope(f.Of(m.Device, m.Threads)...)
	if !e.OK() {
		s.Reason = "no ceilings of " + deviceName(cmp.Or(m.Device, "the device"), m.Threads) + " were measured"
		return s
	}
	atMost, reached := e.At(s.Bytes())
	s.Ceiling, s.Reached = new(atMost/1e9), new(reached/1e9)
	s.Share, s.ShareHigh = stats.Finite(rate/atMost), stats.Finite(rate/reached)
	return s
}

// aboveCeiling warns where a backend's decode reads faster than the machine can:
// one of the two figures is wrong.
func (a *analyzer) aboveCeiling(of cells.Series) {
	var worst *CeilingShare
	n, above := 0, 0
	for i := range a.res.CeilingShares {
		s := &a.res.CeilingShares[i]
		if s.Backend != of.Backend || s.BatchSize != of.BatchSize || s.Share == nil {
			continue
		}
		n++
		if *s.Share > 1 {
			above++
			if worst == nil || *s.Share > *worst.Share {
				worst = s
			}
		}
	}
	if worst == nil {
		return
	}
	a.Warn("above_ceiling", of.Backend,
		fmt.Sprintf("decode of %d of %d cells reads faster than the probe found possible; the most in %s, scenario %s: %.4g GB/s, %.1f %% of the %.4g GB/s measured for its %.4g MB",
			above, n, worst.Model, worst.Scenario, *worst.GBPerS, 100**worst.Share, *worst.Ceiling, float64(worst.Bytes())/1e6),
		"the probe was disturbed, or ran at lower clocks than decode: run `llmscale probe` while nothing else runs and compare, or resume the run, which probes again; if that figure stays, a token reads less than bytes_read_per_token says, and the shares of these models are to be left out")
}
