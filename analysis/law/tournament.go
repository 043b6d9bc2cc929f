package law

import (
	"cmp"
	"math"
	"slices"

	"llmscale/analysis/stats"
)

// What a tournament finds.
const (
	Leads  = "leads"              // one law explains the series, and none of the others does as well
	Unsure = "cannot_distinguish" // Rivals explain it as well, or may
	TooFew = "too_few"            // sizes to tell laws apart
)

// The rule by which a law leads, found by simulation (docs/statistics.md).
const (
	margin     = 2.0 // less AICc than the next (Burnham and Anderson 2002, section 2.6)
	advantage  = 0.9 // no law has less than this share of the leader's leave-one-out error
	fewSizes   = 5   // below so many sizes laws of two parameters have no AICc
	breakSizes = 9   // from so many on a law with a break can win by AICc
)

// Tournament is what all forms make of the same points.
type Tournament struct {
	Laws    []*Law // those that can be fitted, by AICc
	Verdict string
	Rivals  []Form // the laws that the leader cannot be told from, the best first
}

// Compete fits all forms and judges.
func Compete(points []Point) *Tournament {
	t := &Tournament{Verdict: TooFew}
	for _, form := range Forms {
		if l, ok := Fit(form, points); ok {
			l.leaveOut(points)
			t.Laws = append(t.Laws, l)
		}
	}
	// Of laws that fit alike the simpler leads: Forms has it first.
	slices.SortStableFunc(t.Laws, func(a, b *Law) int {
		if math.Abs(a.AICc-b.AICc) < exact {
			return 0
		}
		return cmp.Compare(a.AICc, b.AICc)
	})
	t.weigh()
	if n := stats.Distinct(stats.Map(points, func(p Point) float64 { return p.X })); n >= fewSizes && len(t.Laws) > 0 {
		t.judge(points, n)
	}
	return t
}

// weigh gives the laws Akaike's weights.
func (t *Tournament) weigh() {
	sum := 0.0
	for _, l := range t.Laws {
		if !math.IsInf(l.AICc, 1) {
			l.Weight = math.Exp((t.Laws[0].AICc - l.AICc) / 2)
			sum += l.Weight
		}
	}
	for _, l := range t.Laws {
		if sum > 0 {
			l.Weight /= sum
		}
	}
}

// judge says whether the first law leads.
func (t *Tournament) judge(points []Point, sizes int) {
	leader := t.Laws[0]
	for _, l := range t.Laws[1:] {
		if l.AICc-leader.AICc < margin || l.LOO < advantage*leader.LOO && leader.LOO > exact {
			t.Rivals = append(t.Rivals, l.Form)
		}
	}
	// On few sizes a law with a break has too many parameters to win, and yet may hold:
	// a line in log-log that is straight excludes it, a law that bends does not.
	if sizes < breakSizes && !slices.Contains(t.Rivals, OneBreak) {
		straight := leader.Form == Constant || leader.Form == Straight || leader.Form == Power
		bend, known := FindBend(points)
		if !straight || !known || math.IsNaN(bend.P) || bend.Shown() {
			t.Rivals = append(t.Rivals, OneBreak)
		}
	}
	t.Verdict = Leads
	if len(t.Rivals) > 0 {
		t.Verdict = Unsure
	}
}

// Leader is the law of the least AICc, or of few sizes the simplest; nil without one.
func (t *Tournament) Leader() *Law {
	if len(t.Laws) == 0 {
		return nil
	}
	return t.Laws[0]
}

// Law is that of a form; nil where it could not be fitted.
func (t *Tournament) Law(form Form) *Law {
	if i := slices.IndexFunc(t.Laws, func(l *Law) bool { return l.Form == form }); i >= 0 {
		return t.Laws[i]
	}
	return nil
}

// Predict is ln time of one more model at p by all laws, each by its weight. The
// variance has what they differ by (Burnham and Anderson 2002, equation 4.9). ok is
// false where no law has an error.
func (t *Tournament) Predict(p Point) (e stats.Estimate, ok bool) {
	var each []stats.Estimate
	var weights []float64
	sum := 0.0
	for _, l := range t.Laws {
		if v := l.Predict(p); l.Weight > 0 && !math.IsNaN(v.Variance) && !math.IsNaN(v.Value) {
			each, weights, sum = append(each, v), append(weights, l.Weight), sum+l.Weight
		}
	}
	if sum == 0 {
		return e, false
	}
	for i, v := range each {
		weights[i] /= sum
		e.Value += weights[i] * v.Value
		e.DF += weights[i] * v.DF
	}
	sd := 0.0
	for i, v := range each {
		sd += weights[i] * math.Hypot(math.Sqrt(v.Variance), v.Value-e.Value)
	}
	e.Variance = sd * sd
	return e, true
}

// Closer is whether a predicts points that were left out with less error than b: by
// how much less the mean square is, over the points, with the jackknife error of that.
// Both are fitted to the same models, in the same order.
func Closer(a, b *Law) (e stats.Estimate, ok bool) {
	if a.left == nil || b.left == nil || len(a.left) != len(b.left) {
		return e, false
	}
	d := make([]float64, len(a.left))
	for i := range d {
		d[i] = b.left[i]*b.left[i] - a.left[i]*a.left[i]
	}
	return stats.MeanT(d)
}
