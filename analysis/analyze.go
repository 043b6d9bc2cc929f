package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"llmscale/analysis/finding"
	"llmscale/analysis/runs"
	"llmscale/internal/text"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// resultSchema counts incompatible changes of Result.
const resultSchema = 2

// Axes that Options.XAxis may name. The first is the default.
var sizeAxes = []Axis{
	{"params_total", "million parameters", "total parameters (millions)", "all parameters, embeddings included: TR121's axis"},
	{"params_non_embedding", "million parameters", "non-embedding parameters (millions)", "parameters less the embedding tables: the ones that every token is multiplied with"},
	{"params_active", "million parameters", "active parameters (millions)", "parameters that take part in one decoded token: of a mixture of experts only those in use"},
	{"bytes_per_token", "MB", "weights read per token (MB)", "weight bytes that one decoded token reads, in 1e6 bytes: it joins size, precision and experts"},
}

// Axes lists what may stand for a model's size, the default first.
func Axes() []Axis { return slices.Clone(sizeAxes) }

// Defaults of Options.
const (
	DefaultBootstrap = 1000
	DefaultSeed      = 42
	maxBootstrap     = 1_000_000 // resamples of each fit: minutes
)

// Check refuses options that Analyze would refuse, before anything has been measured for it.
func (o Options) Check() error {
	_, _, err := o.withDefaults()
	return err
}

func (o Options) withDefaults() (Options, Axis, error) {
	if o.Bootstrap == 0 {
		o.Bootstrap = DefaultBootstrap
	}
	if o.Bootstrap > maxBootstrap {
		return o, Axis{}, fmt.Errorf("analysis: %d resamples of the bootstrap; want at most %d", o.Bootstrap, maxBootstrap)
	}
	o.Bootstrap = max(o.Bootstrap, -1)
	if o.Seed == 0 {
		o.Seed = DefaultSeed
	}
	if o.XAxis == "" {
		o.XAxis = sizeAxes[0].Name
	}
	var names []string
	for _, a := range sizeAxes {
		if a.Name == o.XAxis {
			return o, a, nil
		}
		names = append(names, a.Name)
	}
	if near := text.Nearest(o.XAxis, names); near != "" {
		return o, Axis{}, fmt.Errorf("analysis: no x axis %q; did you mean %s? There are %s", o.XAxis, near, text.List(names, "and"))
	}
	return o, Axis{}, fmt.Errorf("analysis: no x axis %q; there are %s", o.XAxis, text.List(names, "and"))
}

// series is what one fit runs along: the models of a backend, at a batch size.
type series struct {
	backend string
	batch   int
}

// seriesOf is the series of a record.
func seriesOf(r *runs.Row) series { return series{r.Backend, r.Sequences()} }

// key is one of the series' cells.
func (s series) key(model, scenario, mode string) cellKey { return cellKey{s, model, scenario, mode} }

func (c *Cell) series() series { return series{c.Backend, c.BatchSize} }

func (f *Fit) series() series { return series{f.Backend, f.BatchSize} }

func (d *DeviceCell) series() series { return series{d.Backend, d.BatchSize} }

// group are the calls of a cell; nil where there are none.
func (a *Set) group(k cellKey) *group { return a.groups[k] }

type modelKey struct{ backend, model string }

type cellKey struct {
	series
	model, scenario, mode string
}

// group holds one cell's ok records, in run order.
type group struct {
	rows []*runs.Row // what the summary is made of
	cold []*runs.Row // warm-ups
	warm []*runs.Row // repetitions
}

// Set is the cells of a run, with look-ups. Questions read it and add warnings.
type Set struct {
	run  *runs.Run
	opt  Options // with the defaults filled in
	axis Axis    // what stands for a model's size

	Models     []Model     // one for each backend x model that was planned or measured: by backend, then size
	Cells      []Cell      // one for each backend x model x scenario x mode with ok rows
	Aggregates []Aggregate // cells joined over scenarios
	Counts     runs.Counts
	Warnings   []finding.Warning

	series    []series // in the order of the config
	scenarios []string
	modes     []string

	byKey      map[modelKey]*Model
	groups     map[cellKey]*group
	cells      map[cellKey]int // index into Cells
	depths     map[string]int  // of each scenario: positions of the KV cache in use before its calls
	leastDepth int
}

type analyzer struct {
	*Set
	res *Result
}

// Analyze computes everything that run says. It changes nothing in run, and the
// same run and options give the same Result.
func Analyze(run *runs.Run, opt Options) (*Result, error) {
	set, err := newSet(run, opt)
	if err != nil {
		return nil, err
	}
	a := &analyzer{Set: set,
		res: &Result{SchemaVersion: resultSchema, Harness: run.Harness, Options: set.opt, Axis: set.axis, Manifest: run.Manifest,
			RunID: run.Manifest.Text("run_id"), RunName: run.Manifest.Text("run_name")},
	}
	if a.res.RunID == "" && len(run.Rows) > 0 {
		a.res.RunID = run.Rows[0].RunID
	}
	a.decodeFractions()
	a.warmups()
	a.eventGaps()
	a.phaseSum()
	a.said()
	a.failures()
	a.verdicts()
	a.disturbed()
	a.tokens()
	a.fits()
	a.ollama()
	a.crosscheck()
	a.ollamaGaps()
	a.ollamaGreedy()
	a.answer()
	a.lengths()
	a.prefillLengths()
	a.checkLengths()
	a.depthsOfDecode()
	a.weightTypes()
	a.axes()
	a.ceilings()
	a.device()
	a.memoryWall()
	a.mixedSettings()
	a.builds()
	a.runWarnings()
	a.res.Asked = ask(a.Set)
	a.res.Counts, a.res.Models, a.res.Cells, a.res.Aggregates, a.res.Warnings = a.Counts, a.Models, a.Cells, a.Aggregates, a.Warnings
	return a.res, nil
}

// newSet sorts the records of run into cells. It changes nothing in run.
func newSet(run *runs.Run, opt Options) (*Set, error) {
	opt, axis, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &Set{run: run, opt: opt, axis: axis, Counts: run.Counts, Warnings: slices.Clone(run.Warnings),
		byKey: map[modelKey]*Model{}, groups: map[cellKey]*group{}, cells: map[cellKey]int{}}
	a.collect()
	a.learnDepths()
	a.Models = a.modelList()
	a.summarise()
	a.aggregate()
	return a, nil
}

func (a *Set) warn(code, where, text, advice string) {
	a.Warnings = append(a.Warnings, finding.Warning{Code: code, Where: where, Text: text, Advice: advice})
}

// collect sorts the records into cells and learns the models' facts.
func (a *Set) collect() {
	seenSeries, seenScenario, seenMode := map[series]bool{}, map[string]bool{}, map[string]bool{}
	for i := range a.run.Rows {
		r := &a.run.Rows[i]
		a.learn(r)
		if s := seriesOf(r); !seenSeries[s] {
			seenSeries[s] = true
			a.series = append(a.series, s)
		}
		if !seenScenario[r.Scenario] {
			seenScenario[r.Scenario] = true
			a.scenarios = append(a.scenarios, r.Scenario)
		}
		if !seenMode[r.Mode] {
			seenMode[r.Mode] = true
			a.modes = append(a.modes, r.Mode)
		}
		if !r.OK() {
			continue
		}
		if r.Invalid() {
			a.Counts.Invalid++
			continue
		}
		if _, usable := r.Latency(); !usable {
			a.Counts.Unusable++
			continue
		}
		k := seriesOf(r).key(r.Model, r.Scenario, r.Mode)
		g := a.groups[k]
		if g == nil {
			g = &group{}
			a.groups[k] = g
		}
		if r.IsWarmup {
			a.Counts.Warmups++
			g.cold = append(g.cold, r)
		} else {
			g.warm = append(g.warm, r)
		}
		if !r.IsWarmup || a.opt.IncludeWarmup {
			a.Counts.Used++
			g.rows = append(g.rows, r)
		}
	}
	for _, m := range a.byKey {
		a.completeModel(m)
	}
	if n := a.Counts.Unusable; n > 0 {
		a.warn("unusable_latency", "runs.jsonl", fmt.Sprintf("%d ok records have no positive, finite latency_ms", n),
			"they are left out; the program that wrote them should have given them another status")
	}
	// Runs are shuffled, so the order of the file says nothing: the manifest's
	// order where it has one, else the names'.
	backendAt, scenarioAt := a.manifestOrder("backends"), a.manifestOrder("scenarios")
	slices.SortFunc(a.series, func(x, y series) int {
		return cmp.Or(backendAt(x.backend)-backendAt(y.backend), strings.Compare(x.backend, y.backend), x.batch-y.batch)
	})
	slices.SortFunc(a.scenarios, func(x, y string) int {
		return cmp.Or(scenarioAt(x)-scenarioAt(y), strings.Compare(x, y))
	})
	modeAt := func(m string) int {
		if i := slices.Index(record.Modes, m); i >= 0 {
			return i
		}
		return len(record.Modes)
	}
	slices.SortFunc(a.modes, func(x, y string) int { return cmp.Or(modeAt(x)-modeAt(y), strings.Compare(x, y)) })
}

// manifestOrder gives the position of a name in a list of the manifest's
// resolved (or config) section; names that are not there come last.
func (a *Set) manifestOrder(list string) func(string) int {
	var items []struct {
		Name string `json:"name"`
	}
	if !a.run.Manifest.Decode(&items, "resolved", list) {
		a.run.Manifest.Decode(&items, "config", list)
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

// modelList has the models in the order of the tables: by backend, then size.
func (a *Set) modelList() []Model {
	backendAt := a.manifestOrder("backends")
	var out []Model
	for _, m := range a.byKey {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(x, y Model) int {
		return cmp.Or(backendAt(x.Backend)-backendAt(y.Backend), strings.Compare(x.Backend, y.Backend),
			cmp.Compare(orInf(x.ParamsMillions), orInf(y.ParamsMillions)), strings.Compare(x.Name, y.Name))
	})
	return out
}

// modelsOf lists a backend's models by size, those of unknown size last.
func (a *Set) modelsOf(backend string) []*Model {
	var out []*Model
	for i := range a.Models {
		if a.Models[i].Backend == backend {
			out = append(out, &a.Models[i])
		}
	}
	return out
}

func orInf(v *float64) float64 {
	if v == nil {
		return math.Inf(1)
	}
	return *v
}

// learn takes what a record says about its model. Records of failed calls may
// know nothing, so what one of them leaves open another may fill in.
func (a *Set) learn(r *runs.Row) {
	k := modelKey{r.Backend, r.Model}
	m := a.byKey[k]
	if m == nil {
		m = &Model{Backend: r.Backend, BackendKind: r.BackendKind, Name: r.Model, Kind: r.ModelKind, Source: r.ModelSource}
		a.byKey[k] = m
	}
	fill(&m.File, r.ModelFile)
	fill(&m.Device, r.Device)
	if r.OK() && r.ModelSHA256 != nil {
		fill(&m.SHA256, *r.ModelSHA256)
	}
	fill(&m.WeightType, r.WeightType)
	fill(&m.Architecture, r.Architecture)
	fill(&m.LlamaCommit, r.LlamaCommit)
	fill(&m.ParamsTotal, r.ParamsTotal)
	fill(&m.ParamsNonEmbedding, r.ParamsNonEmbedding)
	fill(&m.ParamsActive, r.ParamsActive)
	fill(&m.WeightBytes, r.WeightBytes)
	fill(&m.BytesPerToken, r.BytesPerToken)
	fill(&m.KVBytesPerToken, r.KVBytesPerToken)
	fill(&m.NLayer, r.NLayer)
	fill(&m.NEmbd, r.NEmbd)
	fill(&m.NHead, r.NHead)
	fill(&m.NHeadKV, r.NHeadKV)
	fill(&m.NFF, r.NFF)
	fill(&m.NVocab, r.NVocab)
	fill(&m.NCtxTrain, r.NCtxTrain)
	if r.OK() { // of others only what was asked for is known
		fill(&m.Threads, r.Threads())
	}
	if m.GPULayers == nil && r.OK() && r.Device == ceilings.CUDA {
		m.GPULayers = new(r.NGPULayers)
	}
	if p := r.ParamsMillionsConfig; p != nil && *p > 0 && m.ParamsMillionsConfig == nil {
		m.ParamsMillionsConfig = new(*p)
	}
	if m.ParamsMillionsMeasured == nil {
		switch p := r.ParamsMillionsMeasured; {
		case p != nil && *p > 0:
			m.ParamsMillionsMeasured = new(*p)
		case r.SchemaVersion > 0 && r.ParamsMillions > 0: // llmscale counts the file's tensors
			m.ParamsMillionsMeasured = new(r.ParamsMillions)
		}
	}
	if m.ParamsMillions == nil && r.ParamsMillions > 0 {
		m.ParamsMillions = new(r.ParamsMillions) // the fallback: completeModel prefers better ones
	}
}

func fill[T comparable](have *T, v T) {
	var zero T
	if *have == zero {
		*have = v
	}
}

// completeModel takes from the manifest, and from TR121's table of shapes, what
// the records left open, and settles the effective size.
func (a *Set) completeModel(m *Model) {
	if m.ParamsMillionsMeasured == nil && m.ParamsTotal > 0 {
		m.ParamsMillionsMeasured = new(float64(m.ParamsTotal) / 1e6)
	}
	if a.run.Harness == runs.HarnessTR121 {
		a.completeTR121(m)
	}
	switch {
	case m.ParamsMillionsMeasured != nil:
		m.ParamsMillions = new(*m.ParamsMillionsMeasured)
	case m.ParamsMillionsConfig != nil:
		m.ParamsMillions = new(*m.ParamsMillionsConfig)
	}
}

func (a *Set) completeTR121(m *Model) {
	type measured struct {
		Model    string   `json:"model"`
		Params   *float64 `json:"params_millions_measured"`
		Quant    string   `json:"quantization_level"`
		Family   string   `json:"family"`
		Device   string   `json:"device"`
		DataType string   `json:"dtype"`
	}
	var lists struct {
		HF     []measured `json:"hf_params_millions"`
		Ollama []measured `json:"ollama_params_millions"`
	}
	a.run.Manifest.Decode(&lists, "measured_params")
	list := lists.HF
	if m.BackendKind == "ollama" {
		list = lists.Ollama
	}
	for _, e := range list {
		if e.Model != m.Name {
			continue
		}
		if e.Params != nil && *e.Params > 0 && m.ParamsMillionsMeasured == nil {
			m.ParamsMillionsMeasured = new(*e.Params)
		}
		fill(&m.WeightType, e.Quant)
		fill(&m.Architecture, e.Family)
	}
	var backends []struct {
		Name, Device string
		DType        string `json:"dtype"`
	}
	a.run.Manifest.Decode(&backends, "resolved", "backends")
	for _, b := range backends {
		if b.Name == m.Backend {
			fill(&m.Device, b.Device)
			if m.BackendKind != "ollama" {
				fill(&m.WeightType, b.DType)
			}
		}
	}
	shape, known := a.run.Shapes[m.Name]
	if !known || m.BackendKind == "ollama" {
		return
	}
	fill(&m.File, shape.ConfigPath)
	fill(&m.NLayer, shape.NLayer)
	fill(&m.NEmbd, shape.NEmbd)
	fill(&m.NHead, shape.NHead)
	fill(&m.NFF, shape.NFF)
	fill(&m.NVocab, shape.NVocab)
	fill(&m.NCtxTrain, shape.NCtx)
	// TR121's models are GPT-2: (V+n_positions)*d + L*(12d^2+13d) + 2d. Where that
	// gives the model's size, its second part is the non-embedding count.
	d, layers := int64(shape.NEmbd), int64(shape.NLayer)
	blocks := layers*(12*d*d+13*d) + 2*d
	total := int64(shape.NVocab+shape.NCtx)*d + blocks
	size := m.ParamsMillionsMeasured
	if size == nil {
		size = m.ParamsMillionsConfig
	}
	if size != nil && d > 0 && math.Abs(float64(total)/1e6/(*size)-1) < 0.01 {
		fill(&m.Architecture, "gpt2")
		fill(&m.ParamsTotal, total)
		fill(&m.ParamsNonEmbedding, blocks)
		fill(&m.ParamsActive, total)
	}
}

// x is the model's place on the axis.
func (a *Set) x(m *Model) (float64, bool) {
	var v float64
	switch a.axis.Name {
	case "params_total":
		if m.ParamsMillions == nil {
			return 0, false
		}
		v = *m.ParamsMillions
	case "params_non_embedding":
		v = float64(m.ParamsNonEmbedding) / 1e6
	case "params_active":
		v = float64(m.ParamsActive) / 1e6
	case "bytes_per_token":
		v = float64(m.BytesPerToken) / 1e6
	}
	return v, v > 0
}
