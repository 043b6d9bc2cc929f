package laws

import (
	"math"
	"slices"

	"llmscale/analysis/finding"
	"llmscale/analysis/law"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
)

// Row is a law of laws.csv.
type Row struct {
	scaling.Subject
	Of        string   `json:"of" doc:"the kind of the models, where a series has several"`
	Axis      string   `json:"x_axis" doc:"what x is"`
	AxisLeads bool     `json:"axis_leads" doc:"whether the series is told over this axis"`
	NModels   int      `json:"n_models" doc:"models in the fit"`
	LeftOut   string   `json:"left_out" doc:"model that alone makes the exponent, and is not in this fit"`
	Law       law.Form `json:"law" doc:"constant, proportional (b x), power (a x^exponent), overhead_line (t0 + b x), offset_power (t0 + a x^exponent), overhead_reading (t0 + bytes over the measured bandwidth), overhead_roofline (t0 + the smooth maximum, of power p, of reading and computing at the measured ceilings), one_break or two_breaks (power laws that meet)"`
	Verdict   string   `json:"verdict" doc:"leads, cannot_distinguish (the leader and its rivals), behind, too_few (sizes to tell laws apart) or withheld (one model makes it: see the rows without it)"`
	LOO       *float64 `json:"loo_error" doc:"root mean square of ln(time / what the law without the model says)"`
	AICc      *float64 `json:"aicc" doc:"Akaike's criterion for small samples, of ln time"`
	Weight    *float64 `json:"weight" doc:"Akaike's weight among the laws of these models and axis"`

	T0       *float64        `json:"t0_ms" unit:"ms" doc:"fixed part"`
	T0CI     *stats.Interval `json:"t0_ci_ms" csv:"t0_*_ms" unit:"ms" doc:"95 % over sizes: other models along the same law"`
	T0Blocks *stats.Interval `json:"t0_blocks_ci_ms" csv:"t0_blocks_*_ms" unit:"ms" doc:"95 % of these models measured again: one fit for each block, t over the blocks"`
	A        *float64        `json:"a" unit:"ms per unit of x^exponent" doc:"factor of the power; of constant the time"`
	B        *float64        `json:"b" unit:"ms per unit of x" doc:"factor of x"`
	BCI      *stats.Interval `json:"b_ci" csv:"b" unit:"ms per unit of x" doc:"95 % over sizes"`

	Exponent       *float64        `json:"exponent" doc:"of x; below the first break, where there is one"`
	ExponentCI     *stats.Interval `json:"exponent_ci" csv:"exponent" doc:"95 % over sizes"`
	ExponentBlocks *stats.Interval `json:"exponent_blocks_ci" csv:"exponent_blocks" doc:"95 % over blocks"`
	Second         *float64        `json:"exponent_2" doc:"beyond the first break"`
	SecondCI       *stats.Interval `json:"exponent_2_ci" csv:"exponent_2" doc:"95 % over sizes"`
	Third          *float64        `json:"exponent_3" doc:"beyond the second break"`
	ThirdCI        *stats.Interval `json:"exponent_3_ci" csv:"exponent_3" doc:"95 % over sizes"`
	Break1         *float64        `json:"break_1" unit:"units of x" doc:"size of the first break; breaks.csv has its interval"`
	Break2         *float64        `json:"break_2" unit:"units of x" doc:"size of the second break"`
	Sharp          *float64        `json:"p" doc:"power of the smooth maximum; the larger the sharper"`
}

// Verdict of a law that others leave behind.
const behind = "behind"

// row is one law of a tournament over an axis.
func (f *Finding) row(o *onAxis, t *law.Tournament, l *law.Law) *Row {
	r := &Row{Subject: f.Subject, Of: f.Of, Axis: o.axis.Name, AxisLeads: o == &f.axes[f.at], NModels: l.N, Law: l.Form, Verdict: t.Verdict,
		LOO: stats.Finite(l.LOO), AICc: stats.Finite(l.AICc)}
	if !math.IsInf(l.AICc, 1) {
		r.Weight = stats.Finite(l.Weight)
	}
	switch {
	case o.withheld && t == o.all && !(o.whole && l == t.Leader()): // a law of all is told all the same
		r.Verdict = Withheld
	case t.Verdict != law.TooFew && l != t.Leader() && !slices.Contains(t.Rivals, l.Form):
		r.Verdict = behind
	}
	if o.withheld && t == o.rest {
		r.LeftOut = o.models[o.stray.Index].Name
	}
	for _, p := range l.Params {
		v := stats.Finite(p.Value)
		switch p.Name {
		case "t0_ms":
			r.T0, r.T0CI, r.T0Blocks = v, p.Sizes, p.Blocks
		case "a":
			r.A = v
		case "b":
			r.B, r.BCI = v, p.Sizes
		case "exponent", "exponent_1":
			r.Exponent, r.ExponentCI, r.ExponentBlocks = v, p.Sizes, p.Blocks
		case "exponent_2":
			r.Second, r.SecondCI = v, p.Sizes
		case "exponent_3":
			r.Third, r.ThirdCI = v, p.Sizes
		case "break_1":
			r.Break1 = v
		case "break_2":
			r.Break2 = v
		case "p":
			r.Sharp = v
		}
	}
	return r
}

// rows are all laws of all findings.
func (a *Answer) rows() (out []*Row) {
	for _, f := range a.Answers.Laws {
		for j := range f.axes {
			o := &f.axes[j]
			tournaments := []*law.Tournament{o.all}
			if o.withheld {
				tournaments = append(tournaments, o.rest)
			}
			for _, t := range tournaments {
				for _, l := range t.Laws {
					out = append(out, f.row(o, t, l))
				}
			}
		}
	}
	return out
}

// breakRow is a line of breaks.csv.
type breakRow struct {
	scaling.Subject
	Of      string          `json:"of" doc:"the kind of the models, where a series has several"`
	Axis    string          `json:"x_axis" doc:"what x is"`
	NModels int             `json:"n_models" doc:"models looked at"`
	Verdict string          `json:"verdict" doc:"none, shown, or bends: one exponent does not describe the times, but a law without a break describes them as well"`
	Breaks  int             `json:"breaks" doc:"how many the tests show: 0 to 2"`
	POne    *float64        `json:"p_one" doc:"p of one break against none"`
	PTwo    *float64        `json:"p_two" doc:"p of two breaks against one"`
	At      float64         `json:"break_1" unit:"units of x" doc:"where the first break is, or the only one would be"`
	CI      *stats.Interval `json:"break_1_ci" csv:"break_1" doc:"95 % bootstrap interval"`
	At2     *float64        `json:"break_2" unit:"units of x" doc:"where the second break is"`
	CI2     *stats.Interval `json:"break_2_ci" csv:"break_2" doc:"95 % bootstrap interval"`
}

func (a *Answer) breaks() (out []breakRow) {
	for _, f := range a.Answers.Laws {
		b := f.Breaks
		if b == nil {
			continue
		}
		r := breakRow{Subject: f.Subject, Of: f.Of, Axis: f.Axis, NModels: len(f.axes[f.at].told()), Verdict: f.Break, Breaks: b.Breaks,
			POne: stats.Finite(b.P[0]), PTwo: stats.Finite(b.P[1]), At: b.At[0], CI: b.CI[0]}
		if len(b.At) > 1 {
			r.At2, r.CI2 = stats.Finite(b.At[1]), b.CI[1]
		}
		out = append(out, r)
	}
	return out
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf(file, "Each law that was fitted, for each backend, mode, scenario and axis; over all scenarios all axes, of single scenarios the run's.", a.rows(), "").Always(),
		finding.TableOf("breaks.csv", "Whether the exponent changes at a size, over all scenarios, on the axis that leads; six sizes at least.", a.breaks(), ""),
	}
}
