package summary

import (
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// modelRow is one model as one series ran it, over all scenarios. Modes that were not
// measured are empty.
type modelRow struct {
	*cells.Model
	prefill, decode cells.Aggregate
}

// modelRows lists the models of a series that gave a measurement, by size.
func (a *Answer) modelRows(s cells.Series) (out []modelRow) {
	for _, m := range a.set.ModelsOf(s.Backend) {
		row := modelRow{Model: m}
		for mode, to := range map[string]*cells.Aggregate{record.ModePrefill: &row.prefill, record.ModeDecode: &row.decode} {
			if g := a.set.Aggregate(s, m.Name, mode); g != nil {
				*to = *g
			}
		}
		if row.prefill.Calls+row.decode.Calls > 0 {
			out = append(out, row)
		}
	}
	return out
}

func bytesMB(n int64) string {
	if n <= 0 {
		return doc.Unknown
	}
	return doc.Number(float64(n) / 1e6)
}

var modelColumns = []doc.Column[modelRow]{
	{Head: "<model", Cell: func(r modelRow) string { return doc.Text(r.Name) }},
	{Head: "parameters (millions)", Cell: func(r modelRow) string { return doc.SizeOf(r.ParamsMillions) }},
	{Head: "<weights", Cell: func(r modelRow) string { return doc.OrNone(r.WeightType) }},
	{Head: "layers × width", Cell: func(r modelRow) string {
		if r.NLayer == 0 || r.NEmbd == 0 {
			return doc.Unknown
		}
		return fmt.Sprintf("%d × %d", r.NLayer, r.NEmbd)
	}},
	{Head: "prefill (ms)", Cell: func(r modelRow) string {
		if r.prefill.Calls == 0 {
			return doc.Unknown
		}
		return doc.Number(r.prefill.GeomeanMS)
	}},
	{Head: "cold prefill (ms)", Cell: func(r modelRow) string { return doc.NumberOf(r.prefill.PrefillColdMS) }},
	{Head: "first token (ms)", Cell: func(r modelRow) string { return doc.NumberOf(r.prefill.TTFTMS) }},
	{Head: "decode (ms/token)", Cell: func(r modelRow) string { return doc.NumberOf(r.decode.MSPerToken) }},
	{Head: "decode (tokens/s)", Cell: func(r modelRow) string { return doc.NumberOf(r.decode.TokensPerS) }},
	{Head: "read per token (MB)", Cell: func(r modelRow) string { return bytesMB(r.BytesPerToken) }},
	{Head: "weights read (GB/s)", Cell: func(r modelRow) string { return doc.NumberOf(r.decode.WeightGBPerS) }},
	{Head: "peak RSS (MiB)", Cell: func(r modelRow) string { return doc.NumberOf(stats.Larger(r.prefill.RSSPeakMiB, r.decode.RSSPeakMiB)) }},
	{Head: "peak GPU (MiB)", Cell: func(r modelRow) string { return doc.NumberOf(stats.Larger(r.prefill.GPUPeakMB, r.decode.GPUPeakMB)) }},
}

// Sections have a table for each series: the run at a glance.
func (a *Answer) Sections() []doc.Section {
	sec := doc.Section{Title: "Models"}
	for _, s := range prose.Measured(a.set) {
		if rows := a.modelRows(s.Series); len(rows) > 0 {
			sec.Say("**%s**", s)
			sec.Add(doc.TableOf(rows, modelColumns))
		}
	}
	if len(sec.Blocks) == 0 {
		return nil
	}
	said := "Times are geometric means over the scenarios of the processes' medians. summary_by_model_backend_mode.csv has every cell."
	if slices.ContainsFunc(a.set.Cells, func(c cells.Cell) bool { return c.PrefillColdMS != nil }) {
		said += " A cold prefill is the first after a pause."
	}
	if mixed := prose.MixedLengths(a.set); mixed != "" {
		said += fmt.Sprintf(" The scenarios' answers have %s: times and rates are means over these lengths, and those of none of them.", mixed)
	}
	sec.Blocks = slices.Insert(sec.Blocks, 0, doc.Block(doc.Paragraph(said+a.depthNote()+a.servedNote())))
	return []doc.Section{sec}
}

// servedNote says what the times of a backend are that asks a server.
func (a *Answer) servedNote() string {
	var served []string
	for _, m := range a.set.Models {
		if b := doc.Text(m.Backend); m.BackendKind == cells.KindOllama && a.set.Run.Harness == runs.HarnessLLMScale && !slices.Contains(served, b) {
			served = append(served, b)
		}
	}
	if len(served) == 0 {
		return ""
	}
	return fmt.Sprintf(" On %s prefill and decode are the server's own counters, and the first token is the client's clock.", doc.Join(served))
}

// depthNote says which scenarios the means over scenarios leave out.
func (a *Answer) depthNote() string {
	deep := slices.DeleteFunc(slices.Clone(a.set.Scenarios), a.set.Joins)
	if len(deep) == 0 {
		return ""
	}
	return fmt.Sprintf(" What joins scenarios is of those at depth %d, without %s.", a.set.LeastDepth(), doc.Join(stats.Map(deep, doc.Text)))
}
