package cells

import (
	"fmt"

	"llmscale/analysis/runs"
)

// Series is what one fit runs along: the models of a backend, at a batch size.
type Series struct {
	Backend   string `json:"backend" doc:"name of the backend"`
	BatchSize int    `json:"batch_size" unit:"sequences" doc:"sequences decoded together"`
}

// Title names the series in a figure.
func (s Series) Title() string {
	if s.BatchSize > 1 {
		return fmt.Sprintf("%s, batch %d", s.Backend, s.BatchSize)
	}
	return s.Backend
}

// FileSuffix tells files of the series' batch size from those of batch 1.
func (s Series) FileSuffix() string {
	if s.BatchSize > 1 {
		return fmt.Sprintf("_bs%d", s.BatchSize)
	}
	return ""
}

// SeriesOf is the series of a record.
func SeriesOf(r *runs.Row) Series { return Series{r.Backend, r.Sequences()} }

// Key names a cell: the calls of one backend at one batch size, of one model, in one
// scenario, in one mode.
type Key struct {
	Series
	Model, Scenario, Mode string
}

// Key is one of the series' cells.
func (s Series) Key(model, scenario, mode string) Key { return Key{s, model, scenario, mode} }

// ModelKey names a model as one backend ran it.
type ModelKey struct{ Backend, Model string }

// ScenarioKey is what a call's three modes have in common.
type ScenarioKey struct {
	Series
	Model, Scenario string
}

// ScenarioKeyOf is the ScenarioKey of a record.
func ScenarioKeyOf(r *runs.Row) ScenarioKey {
	return ScenarioKey{SeriesOf(r), r.Model, r.Scenario}
}

// CallID tells the calls of a ScenarioKey apart.
type CallID struct {
	Replicate, Session, Idx int
	Warmup                  bool
}

// CallIDOf is the CallID of a record.
func CallIDOf(r *runs.Row) CallID { return CallID{r.Replicate, r.Session, r.CallIdx, r.IsWarmup} }

// Kinds of backends.
const (
	KindNative = "native"
	KindOllama = "ollama"
)

// Subject is whom a row speaks of: one model as one series ran it. Rows embed it.
type Subject struct {
	Backend     string   `json:"backend" doc:"name of the backend"`
	BackendKind string   `json:"backend_kind" doc:"runtime"`
	BatchSize   int      `json:"batch_size" unit:"sequences" doc:"sequences decoded together"`
	Model       string   `json:"model" doc:"name of the model"`
	ParamsM     *float64 `json:"params_millions_effective" unit:"1e6" doc:"parameters: measured where known, else the config's"`
}

// Of is the Subject of a model in a series.
func (s Series) Of(m *Model) Subject {
	return Subject{s.Backend, m.BackendKind, s.BatchSize, m.Name, m.ParamsMillions}
}

// Series is the subject's.
func (s *Subject) Series() Series { return Series{s.Backend, s.BatchSize} }
