package axes

import (
	"math"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/stats"
)

// ThreadCount is one of the numbers of threads that a model was measured with.
type ThreadCount struct {
	Backend string    `json:"backend"`
	Threads int       `json:"threads"`
	N       int       `json:"n"`
	MS      float64   `json:"median_ms"`     // prefill, or one decode step
	Ratio   float64   `json:"ratio_to_best"` // of the times
	RatioCI *Interval `json:"ratio_to_best_ci"`
	Verdict string    `json:"verdict"` // slower than the best, no difference shown, or unknown

	// Gain is by how much each thread more raises the speed on the way to the next
	// number measured: 0.9 for 1.9 times the speed with one thread more. nil: no larger
	// number was measured.
	Gain        *float64  `json:"gain_per_thread"`
	GainCI      *Interval `json:"gain_per_thread_ci"`
	GainVerdict string    `json:"gain_verdict"` // of the next number against this one
}

// BestThreads is the number of threads with which one phase of a model is fastest.
type BestThreads struct {
	Mode       string        `json:"mode"`
	Scenario   string        `json:"scenario"`
	Model      string        `json:"model"`
	ParamsM    *float64      `json:"params_millions_effective"`
	WeightType string        `json:"weight_type"`
	At         string        `json:"at"`
	Best       int           `json:"best"`
	Fewest     int           `json:"fewest_not_shown_slower"` // the fewest threads that are not shown to be slower than Best
	Told       bool          `json:"told_from_all_others"`    // Best is faster than each other number
	Counts     []ThreadCount `json:"counts"`                  // by rising number
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

// FindBestThreads answers for each model and scenario, for decode by threads and for
// prefill by threads_batch.
func FindBestThreads(samples []Sample) []BestThreads {
	var out []BestThreads
	for _, g := range groups(samples) {
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
		if stats.Median(g.values[i].ms()) < stats.Median(best.ms()) {
			best = &g.values[i]
		}
	}
	of := func(s *Sample) int { return int(s.Settings.Get(g.key.Name).Number) }
	b.Best = of(best)
	for i := range g.values {
		s := &g.values[i]
		c := ThreadCount{Backend: s.Backend, Threads: of(s), N: len(s.LatencyMS), MS: stats.Median(s.ms()), Ratio: 1, Verdict: NotShown}
		if s != best {
			c.Ratio, _, c.RatioCI, c.Verdict = ratio(best.ms(), s.ms(), 1)
			b.Told = b.Told && c.Verdict == Slower
		}
		if c.Verdict != Slower && b.Fewest == 0 {
			b.Fewest = c.Threads
		}
		if i+1 < len(g.values) {
			next := &g.values[i+1]
			more := of(next) - c.Threads
			r, _, ci, verdict := ratio(s.ms(), next.ms(), 1)
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
