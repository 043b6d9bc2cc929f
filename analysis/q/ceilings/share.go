package ceilings

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// Device is what a device of the run could do at most, the best of what its sessions
// measured.
type Device struct {
	Kind      string            `json:"kind"` // cpu or cuda
	Name      string            `json:"name"`
	Threads   int               `json:"n_threads"` // of a CPU; 0 on a GPU
	Sessions  int               `json:"measurements"`
	Read      []ceilings.Rate   `json:"read"`     // best rates by working set, as measured
	Envelope  []ceilings.Rate   `json:"envelope"` // what shares are taken of: see ceilings.Envelope
	PeakGBPS  *float64          `json:"peak_gb_per_s"`
	PeakShare *float64          `json:"read_share_of_peak"` // reading of the largest working set over PeakGBPS
	FMA32     *float64          `json:"fma_f32_tflop_per_s"`
	TensorHF  *float64          `json:"tensor_f16_tflop_per_s"`
	StartUS   *float64          `json:"start_us"` // of the cheapest way to start work
	StartHow  string            `json:"start_how"`
	Missing   map[string]string `json:"not_measured"` // of the last measurement
}

// is reports whether the ceilings are those of a device of a kind; of a CPU with
// that number of threads.
func (d *Device) is(kind string, threads int) bool {
	return d.Kind == kind && (kind != ceilings.CPU || d.Threads == threads)
}

// title names the device as sentences do.
func (d *Device) title() string { return deviceTitle(d.Kind, d.Threads) }

func deviceTitle(kind string, threads int) string {
	switch {
	case kind != ceilings.CPU:
		return kind
	case threads == 1:
		return kind + " with 1 thread"
	}
	return fmt.Sprintf("%s with %d threads", kind, threads)
}

// Share is how near one cell's decode came to what its device can read.
type Share struct {
	cells.Subject
	Scenario string `json:"scenario" doc:"name of the scenario"`
	Device   string `json:"device" doc:"device whose ceilings these are"`
	Threads  int    `json:"n_threads" doc:"threads of a CPU's ceilings" zero:"unknown"`
	N        int    `json:"n" unit:"calls" doc:"decode calls"`

	WeightBytes int64    `json:"weight_bytes_read" unit:"B" doc:"weights that one step reads" zero:"unknown"`
	KVBytes     int64    `json:"kv_bytes_read" unit:"B" doc:"KV cache that one step reads: the mean over the answer's steps, of all sequences" zero:"unknown"`
	MSPerToken  float64  `json:"ms_per_token_median" unit:"ms/token" doc:"median decode time of a step"`
	GBPerS      *float64 `json:"read_gb_per_s" unit:"GB/s" doc:"1e9 bytes of both over that time"`
	Ceiling     *float64 `json:"ceiling_gb_per_s" unit:"GB/s" doc:"envelope of the measured rates at that many bytes: nothing measured says that it can be exceeded"`
	Reached     *float64 `json:"ceiling_reached_gb_per_s" unit:"GB/s" doc:"rate at which that many bytes or more were read; lower where a cache ends nearby"`
	Share       *float64 `json:"share" doc:"read_gb_per_s / ceiling_gb_per_s"`
	ShareHigh   *float64 `json:"share_of_reached" doc:"read_gb_per_s / ceiling_reached_gb_per_s"`
	Reason      string   `json:"reason" doc:"why there is no share"`
}

// Bytes is what one step reads.
func (s *Share) Bytes() int64 { return s.WeightBytes + s.KVBytes }

// join makes one Device of all measurements of each.
func (a *Answer) join(f *ceilings.File) {
	for _, d := range f.Devices {
		if !slices.ContainsFunc(a.Devices, func(o Device) bool { return o.is(d.Kind, d.Threads) }) {
			a.Devices = append(a.Devices, best(f.Of(d.Kind, d.Threads)))
		}
	}
}

// share compares all cells of decode.
func (a *Answer) share(f *ceilings.File) {
	a.set.EachCell(func(k cells.Key, m *cells.Model, g *cells.Group) {
		c := a.set.Cell(k.Series, k.Model, k.Scenario, k.Mode)
		if k.Mode == record.ModeDecode && c != nil && c.MSPerToken != nil && *c.MSPerToken > 0 {
			a.Shares = append(a.Shares, shareOf(f, m, c, g.Rows[0].NGPULayers))
		}
	})
}

// best takes the best of several measurements of one device.
func best(all []ceilings.Device) Device {
	last := &all[len(all)-1]
	out := Device{
		Kind: last.Kind, Name: last.Name, Threads: last.Threads, Sessions: len(all),
		Read: ceilings.ReadRates(all...), Envelope: ceilings.NewEnvelope(all...).Rates(), Missing: maps.Clone(last.NotMeasured),
	}
	take := func(have **float64, v float64) {
		if v > 0 && (*have == nil || v > **have) {
			*have = new(v)
		}
	}
	for i := range all {
		if p := all[i].PeakBytesPerS; p != nil {
			take(&out.PeakGBPS, *p/1e9)
		}
		for _, c := range all[i].Compute {
			switch c.Unit {
			case ceilings.FMA32:
				take(&out.FMA32, c.BestFlopPerS/1e12)
			case ceilings.TensorFP16:
				take(&out.TensorHF, c.BestFlopPerS/1e12)
			}
		}
		for _, l := range all[i].Launch {
			if l.US > 0 && (out.StartUS == nil || l.US < *out.StartUS) {
				out.StartUS, out.StartHow = new(l.US), l.How
			}
		}
	}
	if n := len(out.Read); n > 0 && out.PeakGBPS != nil {
		out.PeakShare = stats.Finite(out.Read[n-1].BytesPerS / 1e9 / *out.PeakGBPS)
	}
	return out
}

// shareOf compares one cell, of a model of which the GPU computes gpuLayers layers; a
// negative number is all of them. Each step reads the weights once, whatever the
// batch, and each sequence's KV cache up to the step's own position.
func shareOf(f *ceilings.File, m *cells.Model, c *cells.Cell, gpuLayers int) Share {
	s := Share{
		Subject: c.Series().Of(m), Scenario: c.Scenario,
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
	case m.Device != ceilings.CPU && !m.WholeOnGPU(gpuLayers):
		s.Reason = fmt.Sprintf("%d of %d layers (the output head counts as one) are on the GPU: two memories share the reading", gpuLayers, m.NLayer+1)
		return s
	}
	s.WeightBytes = m.BytesPerToken
	s.KVBytes = int64(float64(m.KVBytesPerToken) * ((float64(c.Depth)+(*gen+1)/2)*float64(c.BatchSize) + *prompt))
	rate := float64(s.Bytes()) / (s.MSPerToken * 1e-3)
	s.GBPerS = stats.Finite(rate / 1e9)
	e := ceilings.NewEnvelope(f.Of(m.Device, m.Threads)...)
	if !e.OK() {
		s.Reason = "no ceilings of " + deviceTitle(cmp.Or(m.Device, "the device"), m.Threads) + " were measured"
		return s
	}
	atMost, reached := e.At(s.Bytes())
	s.Ceiling, s.Reached = new(atMost/1e9), new(reached/1e9)
	s.Share, s.ShareHigh = stats.Finite(rate/atMost), stats.Finite(rate/reached)
	return s
}

// known are the shares of each series that are known, in the order of the set.
func (a *Answer) known() (order []cells.Series, shares map[cells.Series][]*Share) {
	var known []*Share
	for i := range a.Shares {
		if s := &a.Shares[i]; s.Share != nil {
			known = append(known, s)
		}
	}
	return stats.GroupBy(known, func(s *Share) cells.Series { return s.Series() })
}

func byShare(x, y *Share) int { return cmp.Compare(*x.Share, *y.Share) }

// aboveCeiling warns where a backend's decode reads faster than the machine can:
// one of the two figures is wrong.
func (a *Answer) aboveCeiling() {
	order, shares := a.known()
	for _, of := range order {
		above := 0
		for _, s := range shares[of] {
			if *s.Share > 1 {
				above++
			}
		}
		if above == 0 {
			continue
		}
		worst := slices.MaxFunc(shares[of], byShare)
		a.Warn("above_ceiling", of.Backend,
			fmt.Sprintf("decode of %d of %d cells reads faster than the probe found possible; the most in %s, scenario %s: %.4g GB/s, %.1f %% of the %.4g GB/s measured for its %.4g MB",
				above, len(shares[of]), worst.Model, worst.Scenario, *worst.GBPerS, 100**worst.Share, *worst.Ceiling, float64(worst.Bytes())/1e6),
			"the probe was disturbed, or ran at lower clocks than decode: run `llmscale probe` while nothing else runs and compare, or resume the run, which probes again; if that figure stays, a token reads less than bytes_read_per_token says, and the shares of these models are to be left out")
	}
}
