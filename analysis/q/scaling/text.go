package scaling

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
)

// Sentences has none: a line is no law.
func (a *Answer) Sentences() []string { return nil }

// Sections have the fits.
func (a *Answer) Sections() []doc.Section { return []doc.Section{a.fits()} }

// fits has the lines.
func (a *Answer) fits() doc.Section {
	sec := doc.Section{Title: "Scaling fits"}
	var all, per []Fit
	for _, f := range a.Fits {
		if f.Scenario == cells.AllScenarios {
			all = append(all, f)
		} else {
			per = append(per, f)
		}
	}
	if len(all)+len(per) == 0 {
		return sec
	}
	sec.Say("log₁₀(latency in ms) = a + b · log₁₀(%s), least squares over models, on this machine. It has a slope whatever the points are; whether that is an exponent is said under “Laws”. “Leaving one out” is the range of b over all fits that lack one model.", a.axis.Text())
	if len(all) > 0 {
		sec.Add(FitsShown(all))
	}
	if len(per) > 0 {
		sec.Fold("Fits per scenario", FitsShown(per))
	}
	sec.Fold("Leave-one-out", leaveOneOutTable(all)...)
	a.predictors(&sec)
	return sec
}

// predictors has what the models' shape says beside their size.
func (a *Answer) predictors(sec *doc.Section) {
	c := doc.Table{Head: []string{"<mode", "<backend", "<scenario", "models", "ρ parameters", "p", "ρ layers", "p", "ρ width", "p"}}
	for _, x := range a.Correlations {
		c.Rows = append(c.Rows, []string{prose.Mode(x.Mode), prose.Of(x.Backend, x.BatchSize).String(), prose.Scenario(x.Scenario), fmt.Sprint(x.NModels),
			doc.Fixed(x.RhoParams, 2), doc.PValue(x.PParams), doc.Fixed(x.RhoLayers, 2), doc.PValue(x.PLayers), doc.Fixed(x.RhoWidth, 2), doc.PValue(x.PWidth)})
	}
	if len(c.Rows) > 0 {
		sec.Fold("Rank correlations with size, depth and width", c)
	}
	t := doc.Table{Head: []string{"<mode", "<backend", "<scenario", "models", "size exponent", "95 % bootstrap", "depth exponent", "95 % bootstrap", "R²"}}
	for _, x := range a.TwoPredictors {
		row := []string{prose.Mode(x.Mode), prose.Of(x.Backend, x.BatchSize).String(), prose.Scenario(x.Scenario), fmt.Sprint(x.NModels)}
		if !x.OK {
			t.Rows = append(t.Rows, append(row, "unknown: "+doc.Text(x.Reason), doc.Unknown, doc.Unknown, doc.Unknown, doc.Unknown))
			continue
		}
		t.Rows = append(t.Rows, append(row, doc.Fixed(x.Beta, 3), doc.Interval(x.BetaBoot, 3), doc.Fixed(x.Gamma, 3), doc.Interval(x.GammaBoot, 3), doc.Fixed(x.R2, 3)))
	}
	if len(t.Rows) > 0 {
		sec.Fold("Size and depth together", doc.Paragraph("ln(latency) = α + β · ln("+a.axis.Short()+") + γ · ln(layers)."), t)
	}
}

// FitsShown is a table for readers. It leaves the scenario out where it is the same everywhere.
func FitsShown(fits []Fit) doc.Table {
	t := doc.Table{Head: []string{"<mode", "<backend", "<scenario", "models", "slope b", "standard error", "95 % t-interval", "R²", "95 % over blocks", "95 % HC3", "Theil–Sen (95 %)", "Spearman ρ", "p", "leaving one out", "<moved most by"}}
	several := false
	for _, f := range fits {
		several = several || f.Scenario != fits[0].Scenario
		p := f.SpearmanP
		if f.SpearmanPExact != nil {
			p = f.SpearmanPExact
		}
		row := []string{prose.Mode(f.Mode), prose.Of(f.Backend, f.BatchSize).String(), prose.Scenario(f.Scenario), fmt.Sprint(f.NModels)}
		if !f.OK {
			row = append(row, "unknown")
			row = append(row, slices.Repeat([]string{doc.Unknown}, len(t.Head)-len(row)-1)...)
			t.Rows = append(t.Rows, append(row, doc.Text(f.Reason)))
			continue
		}
		most, span := doc.Unknown, doc.Unknown
		lo, hi := math.Inf(1), math.Inf(-1)
		for _, l := range f.LeaveOneOut {
			if l.Slope == nil {
				continue
			}
			lo, hi = min(lo, *l.Slope), max(hi, *l.Slope)
			if l.Dropped == f.MostInfluential {
				most = fmt.Sprintf("%s (%s without)", doc.Text(l.Dropped), doc.Fixed(l.Slope, 3))
			}
		}
		if lo <= hi {
			span = doc.Interval(&stats.Interval{Low: lo, High: hi}, 3)
		}
		robust := doc.Fixed(f.TheilSenSlope, 3)
		if f.TheilSen != nil {
			robust += " (" + doc.Interval(f.TheilSen, 3) + ")"
		}
		t.Rows = append(t.Rows, append(row, doc.Fixed(f.Slope, 3), doc.Fixed(f.SlopeSE, 3), doc.Interval(f.SlopeT, 3), doc.Fixed(f.R2, 3), doc.Interval(f.SlopeBlocks, 3), doc.Interval(f.SlopeHC3, 3),
			robust, doc.Fixed(f.SpearmanRho, 2), doc.PValue(p), span, most))
	}
	if !several {
		t.Head = slices.Delete(t.Head, 2, 3)
		for i := range t.Rows {
			t.Rows[i] = slices.Delete(t.Rows[i], 2, 3)
		}
	}
	return t
}

func leaveOneOutTable(fits []Fit) []doc.Block {
	t := doc.Table{Head: []string{"<mode", "<backend", "<left out", "models left", "exponent", "change", "95 % t-interval", "R²"}}
	for _, f := range fits {
		for _, l := range f.LeaveOneOut {
			t.Rows = append(t.Rows, []string{prose.Mode(f.Mode), prose.Of(f.Backend, f.BatchSize).String(), doc.Text(l.Dropped), fmt.Sprint(l.N),
				doc.Fixed(l.Slope, 3), doc.Fixed(l.SlopeChange, 3), doc.Interval(l.SlopeT, 3), doc.Fixed(l.R2, 3)})
		}
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return []doc.Block{t}
}

// axis is the label of what the fits have on x.
type axis string

// Text has the unit.
func (x axis) Text() string { return doc.Text(cmp.Or(string(x), cells.ParamsLabel)) }

// Short has no unit.
func (x axis) Short() string {
	name, _, _ := strings.Cut(x.Text(), " (")
	return name
}
