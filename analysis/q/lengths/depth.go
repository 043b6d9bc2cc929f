package lengths

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// DecodeDepth is one model's decode with a number of tokens in the KV cache before
// the call. There are none where all calls of a run have as many.
type DecodeDepth struct {
	cells.Subject
	PromptTokens int      `json:"prompt_tokens" unit:"tokens" doc:"prompt, per sequence"`
	GenTokens    int      `json:"gen_tokens" unit:"tokens" doc:"tokens decoded, per sequence"`
	Depth        int      `json:"depth" unit:"tokens" doc:"tokens in the KV cache before the prompt"`
	Scenarios    []string `json:"scenarios"`

	N          int             `json:"n" unit:"calls" doc:"calls"`
	MSPerToken float64         `json:"ms_per_token_median" unit:"ms/token" doc:"median decode step"`
	Ratio      float64         `json:"ms_per_token_ratio" doc:"to the least depth's"`
	RatioCI    *stats.Interval `json:"ms_per_token_ratio_ci" doc:"its 95 % interval"`
	Basis      string          `json:"basis" doc:"of the interval: processes, or 'one process'"`
	PrefillMS  *float64        `json:"prefill_median_ms" unit:"ms" doc:"median prefill behind that depth"`
}

// DecodeDepthFit is ms per token = Base + NSPerToken/1e6 * depth over the calls of
// one backend x model at one prompt and answer length: ordinary least squares.
type DecodeDepthFit struct {
	cells.Subject
	PromptTokens int `json:"prompt_tokens"`
	GenTokens    int `json:"gen_tokens"`
	NDepths      int `json:"n_depths"`
	Least        int `json:"least_depth"`
	Most         int `json:"most_depth"`
	N            int `json:"n"`

	NSPerToken *float64        `json:"ns_per_token_of_depth"`
	CI         *stats.Interval `json:"ns_per_token_of_depth_ci"` // 95 %, Student t, within one process
	BentP      *float64        `json:"lack_of_fit_p"`            // of the depths' means lying on the line, against the calls' scatter; nil: not to be told
	Deviation  *float64        `json:"largest_deviation"`        // of a depth's mean from the line, as a share of the line
	Reason     string          `json:"reason"`                   // why there is no line
}

// Straight reports whether the depths lie on the line, as far as can be told.
func (f *DecodeDepthFit) Straight() bool {
	return f.BentP == nil || f.Deviation == nil || *f.BentP >= stats.Alpha || *f.Deviation <= curvedDeviation
}

// depthsOfDecode answers how decode slows down as the KV cache fills. Prompts and
// answers of other lengths are other work.
func (a *asker) depthsOfDecode() {
	type work struct{ prompt, gen int }
	for _, s := range a.Series {
		for _, m := range a.ModelsOf(s.Backend) {
			decode, prefill, scenarios := map[work]map[int][]*runs.Row{}, map[work]map[int][]*runs.Row{}, map[work]map[int][]string{}
			for _, sc := range a.Scenarios {
				for _, r := range a.RowsOf(s, m.Name, sc, record.ModeDecode) {
					gen := cells.AnswerTokens(r)
					if gen == 0 || r.PromptEach() == nil || r.GenTokensRaw != nil && *r.GenTokensRaw != gen {
						continue
					}
					w, d := work{*r.PromptEach(), gen}, r.DepthTokens()
					if decode[w] == nil {
						decode[w], prefill[w], scenarios[w] = map[int][]*runs.Row{}, map[int][]*runs.Row{}, map[int][]string{}
					}
					decode[w][d] = append(decode[w][d], r)
					if !slices.Contains(scenarios[w][d], sc) {
						scenarios[w][d] = append(scenarios[w][d], sc)
						prefill[w][d] = append(prefill[w][d], a.RowsOf(s, m.Name, sc, record.ModePrefill)...)
					}
				}
			}
			for _, w := range slices.SortedFunc(maps.Keys(decode), func(x, y work) int { return promptAt{x.prompt, x.gen}.compare(promptAt{y.prompt, y.gen}) }) {
				if len(decode[w]) < 2 {
					continue
				}
				f := DecodeDepthFit{Subject: s.Of(m), PromptTokens: w.prompt, GenTokens: w.gen, NDepths: len(decode[w])}
				depths := slices.Sorted(maps.Keys(decode[w]))
				var per [][]float64
				var least cells.Times
				for _, d := range depths {
					times := cells.TimesOf(decode[w][d], cells.MSPerToken)
					per = append(per, times.All)
					if d == depths[0] {
						least = times
					}
					row := DecodeDepth{Subject: s.Of(m), PromptTokens: w.prompt, GenTokens: w.gen, Depth: d, Scenarios: scenarios[w][d],
						N: len(times.All), MSPerToken: times.Typical(), PrefillMS: stats.MedianOf(cells.Latencies(prefill[w][d]))}
					if row.Ratio = 1; d != depths[0] {
						row.Ratio, row.RatioCI, row.Basis = cells.Ratio([]cells.Times{least}, []cells.Times{times})
					}
					a.out.DecodeDepths = append(a.out.DecodeDepths, row)
				}
				f.fit(depths, per)
				a.out.DecodeDepthFits = append(a.out.DecodeDepthFits, f)
			}
		}
	}
}

// fit takes the calls' ms per token by depth.
func (f *DecodeDepthFit) fit(depths []int, per [][]float64) {
	f.Least, f.Most = depths[0], depths[len(depths)-1]
	var x, y []float64
	pure := 0.0
	var means []float64
	for i, d := range depths {
		mean := stat.Mean(per[i], nil)
		means = append(means, mean)
		for _, v := range per[i] {
			x, y = append(x, float64(d)), append(y, v)
			pure += float64((v - mean) * (v - mean))
		}
	}
	f.N = len(x)
	if len(depths) < minLengths {
		f.Reason = fmt.Sprintf("%d depths; a line takes %d", len(depths), minLengths)
		return
	}
	l, ok := stats.OLS(x, y)
	if !ok {
		f.Reason = "no line can be fitted to these calls"
		return
	}
	t := stats.TQuantile(l.N - 2)
	f.NSPerToken, f.CI = stats.Finite(1e6*l.B), stats.NewInterval(1e6*(l.B-t*l.SEB), 1e6*(l.B+t*l.SEB))
	deviation := 0.0
	for i, d := range depths {
		deviation = max(deviation, math.Abs(means[i]/(l.A+l.B*float64(d))-1))
	}
	f.Deviation = stats.Finite(deviation)
	f.BentP = l.LackOfFit(len(depths), pure)
}
