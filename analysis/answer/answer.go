// Package answer says what a run comes to, once, for whoever reads it first: the
// terminal, the first screen of the page, Markdown for an issue, and answer.json. It
// computes nothing but a prediction (analysis/predict): it chooses among what the
// questions found.
//
// The opinions it holds:
//
//   - One finding leads; what a run is for decides which.
//   - "Cannot tell" is an answer, and says why.
//   - A change is advised only where more than 10 % are shown beyond its interval.
//   - Each number says where it stands among the files of the analysis.
package answer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/laws"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/q/ranking"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/q/wall"
	"llmscale/analysis/q/weights"
	"llmscale/internal/durable"
	"llmscale/internal/text"
)

// File is the answer's file in the folder of an analysis.
const File = "answer.json"

// What a run is for.
const (
	Sizes      = "sizes"       // what changes as models grow
	Settings   = "settings"    // which of several settings is faster
	Wall       = "memory_wall" // where models stop fitting into memory
	Engines    = "engines"     // Ollama against native
	Lengths    = "lengths"     // how time grows with the prompt and what came before it
	OneModel   = "one_size"    // how fast one model is
	Unmeasured = "nothing"     // no record counts
)

// Answer is what a run comes to.
type Answer struct {
	Run     Run              `json:"run"`
	Of      prose.Sentence   `json:"measured"` // what was measured, and on which machine
	Kind    string           `json:"kind"`
	Figure  string           `json:"figure"` // kind of figures of which the first shows it; "": none does
	Verdict []prose.Sentence `json:"verdict"`
	Law     *prose.Sentence  `json:"law"` // null where one size was measured
	Changes []Change         `json:"changes"`
	Advice  []prose.Sentence `json:"advice"` // of threads and weight types that have no change: why not, or what to try
	Goal    Goal             `json:"objective"`
	Trust   prose.Sentence   `json:"trust"` // whether anything failed, and how far the figures may be used
	Table   Table            `json:"table"`
	Caveats []Caveat         `json:"caveats"`

	places []string // of the sections with the evidence for Verdict's sentences
}

// Run says how the run was made.
type Run struct {
	ID       string `json:"run_id"`
	Name     string `json:"run_name"`
	Machine  string `json:"machine"`
	LLMScale string `json:"llmscale"`
	LlamaCpp string `json:"llama_cpp"`
	Command  string `json:"command"`
}

// asker puts the answer together.
type asker struct {
	r       *analysis.Result
	set     *cells.Set
	known   *intervals.Answer
	first   *firstchange.Answer
	laws    *laws.Answer
	bounds  *regimes.Answer
	policy  *policy.Answer
	weight  *weights.Answer
	wall    *wall.Answer
	ranks   *ranking.Answer
	lengths *lengths.Answer
	beside  *crosscheck.Answer
	failed  *failures.Answer
	calls   *calls.Answer

	lead    cells.Series // that sentences are about: prose.Lead
	effects []Change     // of settings, the largest first
	out     *Answer
}

// Of makes the answer of an analysed run.
func Of(r *analysis.Result) *Answer {
	a := &asker{r: r, set: r.Set, out: &Answer{},
		known: analysis.Get[intervals.Answer](r), first: analysis.Get[firstchange.Answer](r), laws: analysis.Get[laws.Answer](r), bounds: analysis.Get[regimes.Answer](r),
		policy: analysis.Get[policy.Answer](r), weight: analysis.Get[weights.Answer](r), wall: analysis.Get[wall.Answer](r), ranks: analysis.Get[ranking.Answer](r), lengths: analysis.Get[lengths.Answer](r),
		beside: analysis.Get[crosscheck.Answer](r), failed: analysis.Get[failures.Answer](r), calls: analysis.Get[calls.Answer](r)}
	lead, ok := prose.Lead(a.set)
	a.lead = lead.Series
	a.run()
	a.changes()
	a.verdict()
	a.law()
	a.goal(ok)
	a.table()
	a.trust()
	a.caveats()
	return a.out
}

// run says what was measured on which machine.
func (a *asker) run() {
	m := a.r.Manifest
	run := &a.out.Run
	*run = Run{ID: a.r.RunID, Name: a.r.RunName, LLMScale: m.Text("llmscale", "version"), LlamaCpp: m.Text("llmscale", "native", "llama_commit"), Command: m.Text("argv")}
	if run.Machine = doc.Clean(m.Text("environment", "cpu")); run.Machine == "" {
		run.Machine = doc.Clean(m.Text("platform", "processor"))
	}
	if gpu := doc.Clean(m.Text("nvml", "name")); gpu != "" && run.Machine != "" {
		run.Machine += ", " + gpu
	} else if gpu != "" {
		run.Machine = gpu
	}
	on := prose.Say("%s", text.Elide(run.Machine, longestMachine))
	switch n := len(a.set.Machines); {
	case n > 0:
		on = prose.Counted(float64(n), "rows of machines.csv", "machine", "machines")
	case run.Machine == "":
		on = prose.Say("a machine that the manifest does not name")
	}
	var models, threads []string
	var low, high *float64
	for i := range a.r.Aggregates {
		g := &a.r.Aggregates[i]
		models = add(models, g.Model)
		if p := g.ParamsM; p != nil && (low == nil || *p < *low) {
			low = p
		}
		if p := g.ParamsM; p != nil && (high == nil || *p > *high) {
			high = p
		}
	}
	for _, m := range a.r.Models {
		if m.Threads > 0 {
			threads = add(threads, fmt.Sprint(m.Threads))
		}
	}
	with := prose.Say("")
	if len(threads) == 1 {
		with = prose.Say(", %s", prose.Counted(float64(a.threads()), "analysis.json models[].n_threads", "thread", "threads"))
	}
	const sizes = aggregates + " params_millions_effective"
	what := prose.Counted(float64(len(models)), "different model of "+aggregates, "model", "models")
	switch {
	case len(models) == 1:
		what = prose.Sized(models[0], low, sizes)
	case low != nil && *low < *high:
		what = prose.Say("%s of %s to %s parameters", what, prose.Size(*low, sizes), prose.Size(*high, sizes))
	}
	a.out.Of = prose.Say("%s on %s%s", what, on, with)
}

// aggregates is the file that most is taken from.
const aggregates = "summary_by_model_backend_mode_agg.csv"

// longestMachine is how many columns of a terminal a machine's name may take.
const longestMachine = 48

// add appends what is not there.
func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// threads is the number of the first model that has one.
func (a *asker) threads() int {
	for _, m := range a.r.Models {
		if m.Threads > 0 {
			return m.Threads
		}
	}
	return 0
}

// Write puts the answer into the folder of an analysis.
func (a *Answer) Write(dir string) error {
	data, err := a.JSON()
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return durable.Quick.WriteFile(filepath.Join(dir, File), data)
}

// JSON is the answer's file.
func (a *Answer) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(a)
	return text.JSON(b.Bytes()), err
}
