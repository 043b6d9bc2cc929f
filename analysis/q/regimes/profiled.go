package regimes

import (
	"fmt"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/profile"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// Split is where a profiled step's time goes, by the kind of its operations. A profiled
// step is longer than a timed one, so these are shares, and no times.
type Split struct {
	Weights   *float64 `json:"profile_weights" doc:"of a profile in the run folder: share of the operations' time in products with weights"`
	Attention *float64 `json:"profile_attention" doc:"in attention: the products with the KV cache and the softmax"`
	Other     *float64 `json:"profile_other" doc:"in all other operations"`
	Idle      *float64 `json:"profile_idle" doc:"share of the step in which no operation ran"`
}

// profiled sets the splits of the profiles in the run folder beside the budgets of the
// same file on the same device.
func (a *Answer) profiled() {
	for _, b := range a.those(func(b *Budget) bool { return b.BatchSize == 1 }) {
		m := a.set.Model(b.Backend, b.Model)
		for j := range a.set.Run.Profiles {
			if p := &a.set.Run.Profiles[j]; of(p, m) {
				b.Split = split(p, b.Mode)
			}
		}
	}
}

// of reports whether a profile is of a model as a backend ran it.
func of(p *runs.Profile, m *cells.Model) bool {
	return p.SHA256 != "" && p.SHA256 == m.SHA256 && p.Device == m.Device && (p.Device != ceilings.CPU || p.Threads == m.Threads)
}

func split(p *runs.Profile, mode string) (s Split) {
	name := map[string]string{record.ModePrefill: "prefill", record.ModeDecode: "decode"}[mode]
	for _, ph := range p.Profile.Phases {
		if ph.Name != name {
			continue
		}
		var weights, attention, all float64
		for _, r := range ph.Rows {
			all += float64(r.TotalNS)
			switch kind(r) {
			case "weights":
				weights += float64(r.TotalNS)
			case "attention":
				attention += float64(r.TotalNS)
			}
		}
		s.Weights, s.Attention, s.Other = stats.Finite(weights/all), stats.Finite(attention/all), stats.Finite((all-weights-attention)/all)
		s.Idle = stats.Finite(float64(ph.IdleNS) / float64(ph.BusyNS+ph.IdleNS))
	}
	return s
}

// kind sorts an operation of ggml, or a kernel, by its name. A product of ggml without
// weights is one with the KV cache.
func kind(r profile.Row) string {
	name := strings.ToLower(r.Name)
	product := false
	for _, part := range []string{"mul_mat", "mmq", "mmv", "gemm", "gemv"} {
		product = product || strings.Contains(name, part)
	}
	switch {
	case strings.Contains(name, "flash_attn"), strings.Contains(name, "soft_max"), strings.Contains(name, "softmax"),
		product && r.Kind == profile.Op && r.Bytes == 0:
		return "attention"
	case product:
		return "weights"
	}
	return ""
}

// splits are the profiled models beside what bounds them.
func (a *Answer) splits(sec *doc.Section) {
	rows := a.those(func(b *Budget) bool { return b.Weights != nil })
	if len(rows) == 0 {
		return
	}
	sec.Fold(fmt.Sprintf("What profiled steps are made of (%d)", len(rows)), doc.Paragraph("Shares are of the operations' time; a profiled step is longer than a timed one."), doc.TableOf(rows, []doc.Column[*Budget]{
		{Head: "<backend", Cell: func(b *Budget) string { return prose.Of(b.Backend, b.BatchSize).String() }},
		{Head: "<model", Cell: func(b *Budget) string { return doc.Text(b.Model) }},
		{Head: "<mode", Cell: func(b *Budget) string { return prose.Mode(b.Mode) }},
		{Head: "<scenario", Cell: func(b *Budget) string { return doc.Text(b.Scenario) }},
		{Head: "<regime", Cell: func(b *Budget) string { return regimeText(*b) }},
		{Head: "products with weights (%)", Cell: func(b *Budget) string { return doc.Percent(b.Weights) }},
		{Head: "attention (%)", Cell: func(b *Budget) string { return doc.Percent(b.Attention) }},
		{Head: "other (%)", Cell: func(b *Budget) string { return doc.Percent(b.Other) }},
		{Head: "idle (%)", Cell: func(b *Budget) string { return doc.Percent(b.Idle) }},
	}))
}
