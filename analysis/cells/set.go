package cells

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/canary"
	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Set is the cells of a run, with look-ups. Questions read it and add warnings.
type Set struct {
	Run  *runs.Run // of several machines a copy, see apart
	Opt  Options   // with the defaults filled in
	Axis Axis      // what stands for a model's size

	Models     []Model     // one for each backend x model that was planned or measured: by backend, then size
	Cells      []Cell      // one for each backend x model x scenario x mode with ok rows
	Aggregates []Aggregate // cells joined over scenarios
	Counts     runs.Counts
	Warnings   []finding.Warning

	Series    []Series // in the order of the config
	Scenarios []string
	Modes     []string
	Machines  []Machine // that measured, where there are several

	configured map[string]string // names of backends in the config, of those that have another here
	byKey      map[ModelKey]*Model
	byBackend  map[string][]*Model // by size, those of unknown size last
	groups     map[Key]*Group
	cells      map[Key]int // index into Cells
	cellsOf    map[Series][]*Cell
	ofModel    map[Series]map[string][]*Cell
	aggregates map[aggregateKey]*Aggregate
	depths     map[string]int // of each scenario: positions of the KV cache in use before its calls
	leastDepth int
	canaries   canary.Levels
}

// New sorts the records of run into cells. It changes nothing in run.
func New(run *runs.Run, opt Options) (*Set, error) {
	opt, axis, err := opt.WithDefaults()
	if err != nil {
		return nil, err
	}
	set := &Set{Run: run, Opt: opt, Axis: axis, Counts: run.Counts, Warnings: slices.Clone(run.Warnings),
		byKey: map[ModelKey]*Model{}, byBackend: map[string][]*Model{}, groups: map[Key]*Group{}, cells: map[Key]int{},
		cellsOf: map[Series][]*Cell{}, ofModel: map[Series]map[string][]*Cell{}, aggregates: map[aggregateKey]*Aggregate{}}
	set.apart()
	set.collect()
	set.learnDepths()
	set.learnCanaries()
	set.leaveOutDisturbed()
	set.Models = set.modelList()
	for i := range set.Models {
		m := &set.Models[i]
		set.byKey[ModelKey{m.Backend, m.Name}] = m
		set.byBackend[m.Backend] = append(set.byBackend[m.Backend], m)
	}
	set.summarise()
	for i := range set.Cells {
		c := &set.Cells[i]
		s := c.Series()
		set.cellsOf[s] = append(set.cellsOf[s], c)
		if set.ofModel[s] == nil {
			set.ofModel[s] = map[string][]*Cell{}
		}
		set.ofModel[s][c.Model] = append(set.ofModel[s][c.Model], c)
	}
	set.aggregate()
	for i := range set.Aggregates {
		g := &set.Aggregates[i]
		set.aggregates[aggregateKey{g.Series(), g.Model, g.Mode}] = g
	}
	return set, nil
}

// Warn adds a doubt about the cells.
func (set *Set) Warn(code, where, text, advice string) {
	set.Warnings = append(set.Warnings, finding.Warning{Code: code, Where: where, Text: text, Advice: advice})
}

// collect sorts the records into cells and learns the models' facts.
func (set *Set) collect() {
	seenSeries, seenScenario, seenMode := map[Series]bool{}, map[string]bool{}, map[string]bool{}
	for i := range set.Run.Rows {
		r := &set.Run.Rows[i]
		set.learn(r)
		if s := SeriesOf(r); !seenSeries[s] {
			seenSeries[s] = true
			set.Series = append(set.Series, s)
		}
		if !seenScenario[r.Scenario] {
			seenScenario[r.Scenario] = true
			set.Scenarios = append(set.Scenarios, r.Scenario)
		}
		if !seenMode[r.Mode] {
			seenMode[r.Mode] = true
			set.Modes = append(set.Modes, r.Mode)
		}
		if !r.OK() {
			continue
		}
		if r.Invalid() {
			set.Counts.Invalid++
			continue
		}
		if _, usable := r.Latency(); !usable {
			set.Counts.Unusable++
			continue
		}
		k := SeriesOf(r).Key(r.Model, r.Scenario, r.Mode)
		g := set.groups[k]
		if g == nil {
			g = &Group{}
			set.groups[k] = g
		}
		if r.IsWarmup {
			set.Counts.Warmups++
			g.Cold = append(g.Cold, r)
		}
		if !r.IsWarmup || set.Opt.IncludeWarmup {
			set.Counts.Used++
			g.Rows = append(g.Rows, r)
		}
	}
	for _, m := range set.byKey {
		set.completeModel(m)
	}
	if n := set.Counts.Unusable; n > 0 {
		set.Warn("unusable_latency", "runs.jsonl", fmt.Sprintf("%d ok records have no positive, finite latency_ms", n),
			"they are left out; the program that wrote them should have given them another status")
	}
	// Runs are shuffled, so the order of the file says nothing: the manifest's
	// order where it has one, else the names'.
	backendAt, scenarioAt := set.manifestOrder("backends"), set.manifestOrder("scenarios")
	slices.SortFunc(set.Series, func(x, y Series) int {
		return cmp.Or(backendAt(set.Configured(x.Backend))-backendAt(set.Configured(y.Backend)), strings.Compare(x.Backend, y.Backend), x.BatchSize-y.BatchSize)
	})
	slices.SortFunc(set.Scenarios, func(x, y string) int {
		return cmp.Or(scenarioAt(x)-scenarioAt(y), strings.Compare(x, y))
	})
	modeAt := func(m string) int {
		if i := slices.Index(record.Modes, m); i >= 0 {
			return i
		}
		return len(record.Modes)
	}
	slices.SortFunc(set.Modes, func(x, y string) int { return cmp.Or(modeAt(x)-modeAt(y), strings.Compare(x, y)) })
}

// manifestOrder gives the position of a name in a list of the manifest's
// resolved (or config) section; names that are not there come last.
func (set *Set) manifestOrder(list string) func(string) int {
	var items []struct {
		Name string `json:"name"`
	}
	if !set.Run.Manifest.Decode(&items, "resolved", list) {
		set.Run.Manifest.Decode(&items, "config", list)
	}
	at := map[string]int{}
	for i, it := range items {
		if _, seen := at[it.Name]; !seen {
			at[it.Name] = i
		}
	}
	return func(name string) int {
		if i, ok := at[name]; ok {
			return i
		}
		return len(items)
	}
}

// learnDepths finds at which depth each scenario's calls begin, and the least of all.
func (set *Set) learnDepths() {
	set.depths = map[string]int{}
	for i := range set.Run.Rows {
		r := &set.Run.Rows[i]
		if d, seen := set.depths[r.Scenario]; !seen || r.DepthTokens() > d {
			set.depths[r.Scenario] = r.DepthTokens()
		}
	}
	first := true
	for _, d := range set.depths {
		if first || d < set.leastDepth {
			set.leastDepth, first = d, false
		}
	}
}
