package policy

import (
	"math"
	"slices"

	"llmscale/analysis/cells"
)

// ThreadCount is one of the numbers of threads that a model was measured with.
type ThreadCount struct {
	Backend string    `json:"backend" doc:"name of the backend"`
	Threads int       `json:"threads" unit:"threads" doc:"that computed this phase"`
	N       int       `json:"n" unit:"calls" doc:"calls"`
	MS      float64   `json:"median_ms" unit:"ms" doc:"median prefill, or decode step"`
	Ratio   float64   `json:"ratio_to_best" doc:"of the times"`
	RatioCI *Interval `json:"ratio_to_best_ci" doc:"its 95 % interval, with what processes differ by"`
	Verdict string    `json:"verdict" doc:"slower than the best, no difference shown, or unknown"`

	// Gain is 0.9 for 1.9 times the speed with one thread more.
	Gain        *float64  `json:"gain_per_thread" doc:"by how much each thread more raises the speed, up to the next number measured; empty at the largest, beyond which nothing was measured"`
	GainCI      *Interval `json:"gain_per_thread_ci" doc:"its 95 % interval, with what processes differ by"`
	GainVerdict string    `json:"gain_verdict"` // of the next number against this one
}

// BestThreads is the number of threads with which one phase of a model is fastest.
type BestThreads struct {
	Mode       string        `json:"mode" doc:"prefill or kv_decode"`
	Scenario   string        `json:"scenario" doc:"name of the scenario"`
	Model      string        `json:"model" doc:"name of the model"`
	ParamsM    *float64      `json:"params_millions_effective" unit:"1e6" doc:"parameters"`
	WeightType string        `json:"weight_type" doc:"type that holds most of the weights"`
	At         string        `json:"at" doc:"settings that all of these have and others of the run have not"`
	Best       int           `json:"best" unit:"threads" doc:"with which the median is least"`
	Fewest     int           `json:"fewest_not_shown_slower" unit:"threads" doc:"the fewest that are not shown to be slower than that"`
	Told       bool          `json:"told_from_all_others"` // Best is faster than each other number
	Counts     []ThreadCount `json:"counts"`               // by rising number
}

// OneMore is what one thread more than Best gives; nil where Best is the largest
// number measured.
func (b *BestThreads) OneMore() *ThreadCount {
	i := slices.IndexFunc(b.Counts, func(c ThreadCount) bool { return c.Threads == b.Best })
	if i < 0 || b.Counts[i].Gain == nil {
		return nil
	}
	return &b.Counts[i]
}

// findBestThreads answers for each model and scenario, for decode by threads and for
// prefill by threads_batch.
func findBestThreads(all []group) []BestThreads {
	var out []BestThreads
	for _, g := range all {
		if g.key.Name == cells.SettingThreads || g.key.Name == cells.SettingThreadsBatch {
			out = append(out, g.bestThreads())
		}
	}
	return out
}

func (g *group) bestThreads() BestThreads {
	first := &g.values[0]
	b := BestThreads{Mode: first.Mode, Scenario: first.Scenario, Model: first.Model, ParamsM: first.ParamsM, WeightType: first.WeightType, At: g.at, Told: true}
	best := &g.values[0]
	for i := range g.values {
		if g.values[i].Times.Typical() < best.Times.Typical() {
			best = &g.values[i]
		}
	}
	of := func(s *Sample) int { return int(s.Settings.Get(g.key.Name).Number) }
	b.Best = of(best)
	for i := range g.values {
		s := &g.values[i]
		c := ThreadCount{Backend: s.Backend, Threads: of(s), N: len(s.Times.All), MS: s.Times.Typical(), Ratio: 1, Verdict: NotShown}
		if s != best {
			c.Ratio, _, c.RatioCI, _, c.Verdict = ratio(best.Times, s.Times, 1)
			b.Told = b.Told && c.Verdict == Slower
		}
		if c.Verdict != Slower && b.Fewest == 0 {
			b.Fewest = c.Threads
		}
		if i+1 < len(g.values) {
			next := &g.values[i+1]
			more := of(next) - c.Threads
			r, _, ci, _, verdict := ratio(s.Times, next.Times, 1)
			c.Gain, c.GainVerdict = gain(r, more), verdict
			if ci != nil {
				c.GainCI = &Interval{Low: *gain(ci.High, more), High: *gain(ci.Low, more)}
			}
		}
		b.Counts = append(b.Counts, c)
	}
	return b
}

// gain is what each of some threads more gives, where all of them together take
// ratio of the time.
func gain(ratio float64, threads int) *float64 {
	v := math.Pow(1/ratio, 1/float64(threads)) - 1
	return &v
}
