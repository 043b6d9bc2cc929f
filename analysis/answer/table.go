package answer

import (
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/q/regimes"
	"llmscale/runner/record"
)

// mostRows is how many rows the table has.
const mostRows = 12

// cannotTell is the regime where scenarios differ.
const cannotTell = "cannot tell"

// Table has what was measured.
type Table struct {
	Rows []Row  `json:"rows"`
	Of   int    `json:"rows_in_all"`
	File string `json:"file"` // that has them all
}

// Row is one model as one backend ran it, over all scenarios.
type Row struct {
	Model      string   `json:"model"`
	Backend    string   `json:"backend"`
	BatchSize  int      `json:"batch_size"`
	ParamsM    *float64 `json:"params_millions_effective"`
	WeightType string   `json:"weight_type"`
	Prefill    *float64 `json:"prefill_tokens_per_s"` // prompt tokens of all sequences
	Decode     *float64 `json:"decode_tokens_per_s"`  // likewise
	MSPerToken *float64 `json:"decode_ms_per_token"`
	Share      *float64 `json:"share_of_ceiling"` // of decode, in the scenario that reads fastest
	Regime     string   `json:"regime"`           // of decode; cannotTell where scenarios differ
	Verdict    string   `json:"verdict"`          // of decode; of a run without it, of prefill
}

// table lists the models of all series; where these are too many those of the one that
// leads, thinned evenly.
func (a *asker) table() {
	bySeries := map[cells.Series][]Row{}
	var all []Row
	for _, s := range a.set.Series {
		bySeries[s] = a.rows(s)
		all = append(all, bySeries[s]...)
	}
	t := Table{Rows: all, Of: len(all), File: aggregates}
	if mine := bySeries[a.lead]; len(all) > mostRows && len(mine) > 1 {
		t.Rows = mine
	}
	t.Rows = thinned(t.Rows, mostRows)
	a.out.Table = t
}

// thinned keeps the first and the last, and as many between.
func thinned(rows []Row, most int) []Row {
	if len(rows) <= most {
		return rows
	}
	var out []Row
	for i := range most {
		out = append(out, rows[i*(len(rows)-1)/(most-1)])
	}
	return out
}

func (a *asker) rows(s cells.Series) (out []Row) {
	bounds := a.bounds.Models(s, record.ModeDecode)
	for _, m := range a.set.ModelsOf(s.Backend) {
		prefill, decode := a.set.Aggregate(s, m.Name, record.ModePrefill), a.set.Aggregate(s, m.Name, record.ModeDecode)
		if prefill == nil && decode == nil {
			continue
		}
		r := Row{Model: m.Name, Backend: s.Backend, BatchSize: s.BatchSize, ParamsM: m.ParamsMillions, WeightType: m.WeightType}
		mode := record.ModePrefill
		if prefill != nil {
			r.Prefill = prefill.TokensPerS
		}
		if decode != nil {
			r.Decode, r.MSPerToken, mode = decode.TokensPerS, decode.MSPerToken, record.ModeDecode
		}
		if i := slices.IndexFunc(bounds, func(b regimes.Bounded) bool { return b.Name == m.Name }); i >= 0 {
			b := &bounds[i]
			if r.Share, r.Regime = b.Share(), b.Regime; r.Regime == "" {
				r.Regime = cannotTell
			}
		}
		if c := a.known.Cell(s.Key(m.Name, cells.AllScenarios, mode)); c != nil {
			r.Verdict = c.Verdict
		}
		out = append(out, r)
	}
	return out
}
