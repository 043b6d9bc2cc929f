package ceilings

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
)

// clear is by how much the two ends of a ceiling differ before both are shown.
const clear = 1.05

func (a *Answer) section() doc.Section {
	if len(a.Devices) == 0 {
		return doc.Section{}
	}
	sec := doc.Section{Title: "Ceilings"}
	sec.Say("What this machine could do at most, measured before the first cell. A step of decode reads the weights once and the KV cache so far; that over its median time is a rate, and the share is that rate over the fastest at which as many bytes were read again and again. Between two measured sizes the ceiling is that of the smaller, so that nothing honest exceeds it; where a cache ends between them the share is a range.")
	sec.Add(doc.TableOf(a.Devices, deviceColumns))
	for _, d := range a.Devices {
		if m := d.Missing; len(d.Read) == 0 && len(m) > 0 {
			var parts []string
			for _, what := range slices.Sorted(maps.Keys(m)) {
				parts = append(parts, doc.Text(what)+" ("+doc.Text(m[what])+")")
			}
			sec.Say("Of %s nothing was read: not measured are %s.", doc.Text(d.title()), strings.Join(parts, ", "))
		}
	}
	sec.Add(doc.Pictures(figureKind))
	a.nearness(&sec)
	a.shareTables(&sec)
	return sec
}

var deviceColumns = []doc.Column[Device]{
	{Head: "<device", Cell: func(d Device) string { return doc.Text(d.title()) }},
	{Head: "<name", Cell: func(d Device) string { return doc.Text(d.Name) }},
	{Head: "fastest reading (GB/s)", Cell: reads(fastest, gbPerS)},
	{Head: "of (MB)", Cell: reads(fastest, megabytes)},
	{Head: "reading of the largest (GB/s)", Cell: reads(largest, gbPerS)},
	{Head: "of (MB)", Cell: reads(largest, megabytes)},
	{Head: "share of the driver's peak (%)", Cell: func(d Device) string { return doc.Percent(d.PeakShare) }},
	{Head: "f32 multiply-adds (Tflop/s)", Cell: func(d Device) string { return doc.NumberOf(d.FMA32) }},
	{Head: "tensor cores, f16 (Tflop/s)", Cell: func(d Device) string { return doc.NumberOf(d.TensorHF) }},
	{Head: "starting work (µs)", Cell: func(d Device) string { return doc.NumberOf(d.StartUS) }},
	{Head: "<by", Cell: func(d Device) string { return doc.OrPlain(doc.Text(strings.ReplaceAll(d.StartHow, "_", " "))) }},
}

// reads gives a column what one of a device's rates says, where it has rates.
func reads(pick func([]ceilings.Rate) ceilings.Rate, say func(ceilings.Rate) float64) func(Device) string {
	return func(d Device) string {
		if len(d.Read) == 0 {
			return doc.Unknown
		}
		return doc.Number(say(pick(d.Read)))
	}
}

func fastest(all []ceilings.Rate) ceilings.Rate {
	return slices.MaxFunc(all, func(a, b ceilings.Rate) int { return cmp.Compare(a.BytesPerS, b.BytesPerS) })
}

func largest(all []ceilings.Rate) ceilings.Rate { return all[len(all)-1] }
func gbPerS(r ceilings.Rate) float64            { return r.BytesPerS / 1e9 }
func megabytes(r ceilings.Rate) float64         { return float64(r.WorkingSetB) / 1e6 }

// nearness says for each backend how near its decode came.
func (a *Answer) nearness(sec *doc.Section) {
	reads := func(s *Share) string {
		return fmt.Sprintf("**%s %%** of what can be read on %s (%s of %s GB/s for %s MB)", shareText(s), doc.Text(s.Model), doc.NumberOf(s.GBPerS), doc.NumberOf(s.Ceiling), doc.Number(float64(s.Bytes())/1e6))
	}
	order, shares := a.known()
	for _, k := range order {
		low, high := slices.MinFunc(shares[k], byShare), slices.MaxFunc(shares[k], byShare)
		s := fmt.Sprintf("Decode on %s reads ", prose.Series{Series: k})
		if low.Model == high.Model {
			s += reads(high)
		} else {
			s += fmt.Sprintf("from %s to %s", reads(low), reads(high))
		}
		s += ", on this machine."
		if *high.Share > 1 {
			s += " More than 100 % cannot be: the probe was disturbed or ran at lower clocks, or the bytes are counted too high; see the warnings."
		}
		sec.Add(doc.Paragraph(s))
	}
}

// shareText is a share in percent; a range where the ceiling's two ends differ
// clearly. Its upper end is at most 100 %: a rate above that of the larger size shows
// that more is possible.
func shareText(s *Share) string {
	switch {
	case s.Share == nil:
		return doc.Unknown
	case s.ShareHigh == nil || *s.ShareHigh < *s.Share*clear:
		return percent(*s.Share)
	}
	return percent(*s.Share) + " to " + percent(max(*s.Share, min(*s.ShareHigh, 1)))
}

// percent has one decimal below 10, else none.
func percent(share float64) string {
	v := 100 * share
	if v < 9.95 {
		return doc.Fixed(&v, 1)
	}
	return doc.Fixed(&v, 0)
}

// shareTables have each model at the scenario in which its decode came nearest to
// the ceiling, and all cells folded away.
func (a *Answer) shareTables(sec *doc.Section) {
	var best, all []*Share
	series, shares := a.known()
	for _, k := range series {
		all = append(all, shares[k]...)
		models, of := stats.GroupBy(shares[k], func(s *Share) string { return s.Model })
		for _, m := range models {
			best = append(best, slices.MaxFunc(of[m], byShare))
		}
	}
	if len(all) > len(best) {
		sec.Say("Each model in the scenario in which its decode comes nearest to the ceiling:")
	}
	if len(best) > 0 {
		sec.Add(doc.TableOf(best, shareColumns))
	}
	if len(all) > len(best) {
		sec.Fold(fmt.Sprintf("All %d cells", len(all)), doc.TableOf(all, shareColumns))
	}
	var without []Share
	for _, s := range a.Shares {
		if s.Share == nil {
			without = append(without, s)
		}
	}
	reasons, of := stats.GroupBy(without, func(s Share) string { return s.Reason })
	for _, r := range reasons {
		sec.Say("No share for %s: %s.", doc.Count(len(of[r]), "cell", "cells"), doc.Text(r))
	}
}

var shareColumns = []doc.Column[*Share]{
	{Head: "<backend", Cell: func(s *Share) string { return prose.Of(s.Backend, s.BatchSize).String() }},
	{Head: "<model", Cell: func(s *Share) string { return doc.Text(s.Model) }},
	{Head: "parameters (millions)", Cell: func(s *Share) string { return doc.SizeOf(s.ParamsM) }},
	{Head: "<scenario", Cell: func(s *Share) string { return doc.Text(s.Scenario) }},
	{Head: "weights read (MB)", Cell: func(s *Share) string { return doc.Number(float64(s.WeightBytes) / 1e6) }},
	{Head: "KV cache read (MB)", Cell: func(s *Share) string { return doc.Number(float64(s.KVBytes) / 1e6) }},
	{Head: "decode (ms/token)", Cell: func(s *Share) string { return doc.Number(s.MSPerToken) }},
	{Head: "reading (GB/s)", Cell: func(s *Share) string { return doc.NumberOf(s.GBPerS) }},
	{Head: "ceiling (GB/s)", Cell: ceilingText},
	{Head: "share (%)", Cell: shareText},
}

// ceilingText is the ceiling, with its other end where they differ clearly.
func ceilingText(s *Share) string {
	if s.Ceiling == nil || s.Reached == nil || *s.Reached > *s.Ceiling/clear {
		return doc.NumberOf(s.Ceiling)
	}
	return doc.Number(*s.Reached) + " to " + doc.Number(*s.Ceiling)
}
