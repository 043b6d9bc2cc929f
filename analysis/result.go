package analysis

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
)

// Result is all that one run says. Times are in milliseconds, parameter counts
// in millions where the name says so; a nil pointer is "unknown" and stands for
// a number that the run cannot carry.
type Result struct {
	SchemaVersion int           `json:"schema_version"` // of this struct
	RunID         string        `json:"run_id"`
	RunName       string        `json:"run_name"`
	Harness       string        `json:"harness"` // HarnessLLMScale or HarnessTR121
	Options       cells.Options `json:"options"` // with the defaults filled in
	Axis          cells.Axis    `json:"axis"`    // what the fits have on x
	Counts        runs.Counts   `json:"counts"`
	Manifest      runs.Manifest `json:"manifest"`

	Models     []cells.Model     `json:"models"`                // one for each backend x model that was planned or measured
	Cells      []cells.Cell      `json:"cells"`                 // one for each backend x model x scenario x mode with ok rows
	Aggregates []cells.Aggregate `json:"aggregates"`            // cells joined over scenarios
	Tokens     []TokenSeries     `json:"tokens"`                // decode time by position
	Tails      []Tail            `json:"tails"`                 // decode tail ratios
	Device     []DeviceCell      `json:"device,omitempty"`      // device time, memory and power; empty where nothing ran on a GPU
	DeviceFits []DeviceFit       `json:"device_fits,omitempty"` // scaling of decode by both clocks
	EventGaps  []EventGap        `json:"event_gaps"`            // host clock against device clock; empty without device times
	Said       []Said            `json:"said"`                  // an answer of each model whose weights were not made up here
	Failed     []FailedCell      `json:"failed"`                // cells with calls that gave no measurement
	Disturbed  []DisturbedCall   `json:"disturbed,omitempty"`   // repetitions that something took the cores from; nil where there are none
	Invalid    []InvalidCell     `json:"invalid,omitempty"`     // cells with calls that something spoilt, whole or in part; nil where there are none
	Answers    Answers           `json:"answers"`
	Asked      []Answer          `json:"-"`        // what the questions found; MarshalJSON puts it beside the other fields
	Warnings   []finding.Warning `json:"warnings"` // the loader's, the cells', and the fits' (a single scenario's only where the fit over all scenarios does not say the same)
}

// TokenSeries is decode time by position in the answer, for one backend x model
// x scenario.
type TokenSeries struct {
	Backend   string    `json:"backend"`
	BatchSize int       `json:"batch_size"`
	Model     string    `json:"model"`
	ParamsM   *float64  `json:"params_millions_effective"`
	Scenario  string    `json:"scenario"`
	Reps      int       `json:"n_reps"`    // calls that had token times
	MedianMS  []float64 `json:"median_ms"` // by position, over the calls that reached it
	MinMS     []float64 `json:"min_ms"`
	MaxMS     []float64 `json:"max_ms"`
	CountAt   []int     `json:"n_at"` // calls that reached the position
	PooledMS  []float64 `json:"-"`    // every token of every call, in run order; runs.jsonl keeps them on disk
}

// Tail compares slow tokens with the middle one. For AllScenarios each token is
// taken relative to its scenario's median, so the times are nil and the ratios
// are quantiles of those relative times.
type Tail struct {
	Backend   string           `json:"backend"`
	BatchSize int              `json:"batch_size"`
	Model     string           `json:"model"`
	ParamsM   *float64         `json:"params_millions_effective"`
	Scenario  string           `json:"scenario"` // or AllScenarios
	N         int              `json:"n_tokens"`
	P50MS     *float64         `json:"p50_ms"`
	P90MS     stats.Percentile `json:"p90_ms"`
	P95MS     stats.Percentile `json:"p95_ms"`
	P99MS     stats.Percentile `json:"p99_ms"`
	MaxMS     *float64         `json:"max_ms"`
	P90Ratio  stats.Percentile `json:"p90_over_p50"`
	P95Ratio  stats.Percentile `json:"p95_over_p50"`
	P99Ratio  stats.Percentile `json:"p99_over_p50"`

	// Over AllScenarios: p95/p50 of the tokens of all calls, each relative to the
	// median of its own call, so that a call that is slow as a whole is no tail. nil
	// where a p95 has too few tokens without the longest call.
	Calls        int      `json:"calls"`
	P95InCalls   *float64 `json:"p95_over_p50_in_calls"`
	P95InCallsSE *float64 `json:"p95_over_p50_in_calls_log_se"` // of its logarithm: jackknife over the calls, which are of one process
}

// Said is what a model answered to one prompt, by greedy decoding.
type Said struct {
	Backend  string `json:"backend"`
	Model    string `json:"model"`
	Scenario string `json:"scenario"`
	Prompt   string `json:"prompt"`
	Output   string `json:"output"`
}

// EventGap compares the host clock with CUDA events.
type EventGap struct {
	Backend     string           `json:"backend"`
	Mode        string           `json:"mode"`
	IsWarmup    bool             `json:"is_warmup"`
	N           int              `json:"n"`
	RelMedian   float64          `json:"rel_gap_median"` // |host - device| / host
	RelP95      stats.Percentile `json:"rel_gap_p95"`
	AbsMedianMS float64          `json:"abs_gap_ms_median"`
	AbsP95MS    stats.Percentile `json:"abs_gap_ms_p95"`
}

// FailedCell is a backend x model x scenario of which calls gave no measurement.
type FailedCell struct {
	Backend   string   `json:"backend"`
	BatchSize int      `json:"batch_size"`
	Model     string   `json:"model"`
	ParamsM   *float64 `json:"params_millions_effective"`
	Scenario  string   `json:"scenario"`
	Status    string   `json:"status"` // oom, crashed, timeout, waived or error
	Reason    string   `json:"reason"`
	Signal    string   `json:"signal"`
	ExitCode  *int     `json:"exit_code"`
	Stderr    []string `json:"stderr_tail"`
	Calls     int      `json:"failed_calls"` // calls, not rows: a failed call leaves a row for each mode
	OKCalls   int      `json:"ok_calls"`     // calls of the cell that did give one
}

// CellsOf are the cells that a figure of a scenario stands on, or of AllScenarios:
// then those of the least depth.
func (r *Result) CellsOf(scenario string) []*cells.Cell {
	least := 0
	for i := range r.Cells {
		if i == 0 || r.Cells[i].Depth < least {
			least = r.Cells[i].Depth
		}
	}
	var out []*cells.Cell
	for i := range r.Cells {
		if c := &r.Cells[i]; c.Scenario == scenario || scenario == cells.AllScenarios && c.Depth == least {
			out = append(out, c)
		}
	}
	return out
}
