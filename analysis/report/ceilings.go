package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/analysis/plot"
	"llmscale/analysis/q/prose"
	"llmscale/runner/ceilings"
)

// ceilings has what the run's devices can do, and how near decode came to it;
// nothing where the run did not measure it.
func (w *writer) ceilings() {
	if len(w.r.Ceilings) == 0 {
		return
	}
	w.doc.Section("Ceilings")
	w.doc.Say("What this machine could do at most, measured before the first cell. A step of decode reads the weights once and the KV cache so far; that over its median time is a rate, and the share is that rate over the fastest at which as many bytes were read again and again. Between two measured sizes the ceiling is that of the smaller, so that nothing honest exceeds it; where a cache ends between them the share is a range.")
	w.doc.Add(w.deviceTable())
	for i := range w.r.Ceilings {
		d := &w.r.Ceilings[i]
		if m := d.Missing; len(d.Read) == 0 && len(m) > 0 {
			var parts []string
			for _, what := range slices.Sorted(maps.Keys(m)) {
				parts = append(parts, doc.Text(what)+" ("+doc.Text(m[what])+")")
			}
			w.doc.Say("Of %s nothing was read: not measured are %s.", doc.Text(d.Device()), strings.Join(parts, ", "))
		}
	}
	w.figures(plot.KindCeilings)
	for _, s := range w.ceilingSentences() {
		w.doc.Add(doc.Paragraph(s))
	}
	w.shareTables()
}

func (w *writer) deviceTable() doc.Table {
	t := doc.Table{Head: []string{"<device", "<name", "fastest reading (GB/s)", "of (MB)", "reading of the largest (GB/s)", "of (MB)"}}
	any := func(of func(d *analysis.DeviceCeiling) bool) bool {
		for i := range w.r.Ceilings {
			if of(&w.r.Ceilings[i]) {
				return true
			}
		}
		return false
	}
	peak := any(func(d *analysis.DeviceCeiling) bool { return d.PeakGBPS != nil })
	tensor := any(func(d *analysis.DeviceCeiling) bool { return d.TensorHF != nil })
	if peak {
		t.Head = append(t.Head, "share of the driver's peak (%)")
	}
	t.Head = append(t.Head, "f32 multiply-adds (Tflop/s)")
	if tensor {
		t.Head = append(t.Head, "tensor cores, f16 (Tflop/s)")
	}
	t.Head = append(t.Head, "starting work (µs)", "<by")
	for i := range w.r.Ceilings {
		d := &w.r.Ceilings[i]
		row := []string{doc.Text(d.Device()), doc.Text(d.Name), doc.Unknown, doc.Unknown, doc.Unknown, doc.Unknown}
		var share *float64
		if n := len(d.Read); n > 0 {
			fast := slices.MaxFunc(d.Read, func(a, b ceilings.Rate) int { return cmp.Compare(a.BytesPerS, b.BytesPerS) })
			large := d.Read[n-1]
			row = append(row[:2], doc.Number(fast.BytesPerS/1e9), doc.Number(float64(fast.WorkingSetB)/1e6), doc.Number(large.BytesPerS/1e9), doc.Number(float64(large.WorkingSetB)/1e6))
			if d.PeakGBPS != nil {
				v := large.BytesPerS / 1e9 / *d.PeakGBPS
				share = &v
			}
		}
		if peak {
			row = append(row, doc.Percent(share))
		}
		row = append(row, doc.NumberOf(d.FMA32))
		if tensor {
			row = append(row, doc.NumberOf(d.TensorHF))
		}
		t.Rows = append(t.Rows, append(row, doc.NumberOf(d.StartUS), doc.OrPlain(doc.Text(strings.ReplaceAll(d.StartHow, "_", " ")))))
	}
	return t
}

// ceilingSentences say for each backend how near its decode came.
func (w *writer) ceilingSentences() []string {
	var out []string
	for _, k := range w.keys() {
		var low, high *analysis.CeilingShare
		n := 0
		for i := range w.r.CeilingShares {
			s := &w.r.CeilingShares[i]
			if s.Backend != k.Backend || s.BatchSize != k.BatchSize || s.Share == nil {
				continue
			}
			n++
			if low == nil || *s.Share < *low.Share {
				low = s
			}
			if high == nil || *s.Share > *high.Share {
				high = s
			}
		}
		if n == 0 {
			continue
		}
		reads := func(s *analysis.CeilingShare) string {
			return fmt.Sprintf("**%s %%** of what can be read on %s (%s of %s GB/s for %s MB)", shareText(s), doc.Text(s.Model), doc.NumberOf(s.GBPerS), doc.NumberOf(s.Ceiling), doc.Number(float64(s.Bytes())/1e6))
		}
		s := fmt.Sprintf("Decode on %s reads ", k)
		if low.Model == high.Model {
			s += reads(high)
		} else {
			s += fmt.Sprintf("from %s to %s", reads(low), reads(high))
		}
		s += ", on this machine."
		if *high.Share > 1 {
			s += " More than 100 % cannot be: the probe was disturbed or ran at lower clocks, or the bytes are counted too high; see the warnings."
		}
		out = append(out, s)
	}
	return out
}

// shareText is a share in percent; a range where the ceiling's two ends differ by
// more than 5 %. Its upper end is at most 100 %: a rate above that of the larger
// size shows that more is possible.
func shareText(s *analysis.CeilingShare) string {
	if s.Share == nil {
		return doc.Unknown
	}
	one := func(v float64) string { return number3(100 * v) }
	if s.ShareHigh == nil || *s.ShareHigh < *s.Share*1.05 {
		return one(*s.Share)
	}
	return one(*s.Share) + " to " + one(max(*s.Share, min(*s.ShareHigh, 1)))
}

// number3 has one decimal below 10, else none.
func number3(v float64) string {
	if v < 9.95 {
		return doc.Fixed(&v, 1)
	}
	return doc.Fixed(&v, 0)
}

// shareTables have each model at the scenario in which its decode came nearest to
// the ceiling, and all cells folded away.
func (w *writer) shareTables() {
	type model struct {
		prose.Series
		name string
	}
	var order []model
	best := map[model]*analysis.CeilingShare{}
	var all [][]string
	reasons := map[string]int{}
	var said []string
	for i := range w.r.CeilingShares {
		s := &w.r.CeilingShares[i]
		if s.Share == nil {
			if reasons[s.Reason] == 0 {
				said = append(said, s.Reason)
			}
			reasons[s.Reason]++
			continue
		}
		k := model{prose.Of(s.Backend, s.BatchSize), s.Model}
		if best[k] == nil {
			order = append(order, k)
			best[k] = s
		} else if *s.Share > *best[k].Share {
			best[k] = s
		}
		all = append(all, shareRow(s))
	}
	head := []string{"<backend", "<model", "parameters (millions)", "<scenario", "weights read (MB)", "KV cache read (MB)", "decode (ms/token)", "reading (GB/s)", "ceiling (GB/s)", "share (%)"}
	if len(order) > 0 {
		t := doc.Table{Head: head}
		for _, k := range order {
			t.Rows = append(t.Rows, shareRow(best[k]))
		}
		if len(all) > len(order) {
			w.doc.Say("Each model in the scenario in which its decode comes nearest to the ceiling:")
		}
		w.doc.Add(t)
		if len(all) > len(order) {
			w.doc.Fold(fmt.Sprintf("All %d cells", len(all)), doc.Table{Head: head, Rows: all})
		}
	}
	for _, r := range said {
		w.doc.Say("No share for %s: %s.", doc.Count(reasons[r], "cell", "cells"), doc.Text(r))
	}
}

func shareRow(s *analysis.CeilingShare) []string {
	return []string{series(s.Backend, s.BatchSize), doc.Text(s.Model), doc.SizeOf(s.ParamsM), doc.Text(s.Scenario), doc.Number(float64(s.WeightBytes) / 1e6), doc.Number(float64(s.KVBytes) / 1e6),
		doc.Number(s.MSPerToken), doc.NumberOf(s.GBPerS), ceilingText(s), shareText(s)}
}

// ceilingText is the ceiling, with its other end where they differ.
func ceilingText(s *analysis.CeilingShare) string {
	if s.Ceiling == nil || s.Reached == nil || *s.Reached > *s.Ceiling/1.05 {
		return doc.NumberOf(s.Ceiling)
	}
	return doc.Number(*s.Reached) + " to " + doc.Number(*s.Ceiling)
}
