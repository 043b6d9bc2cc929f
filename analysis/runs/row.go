package runs

import "llmscale/runner/record"

// Row is one line of runs.jsonl: llmscale's record, and the field that only the
// TR121 harness writes. What the records of a cell or of a call have in common they
// share, so that nothing may be written through a Row that Load has made.
type Row struct {
	Line int // in runs.jsonl, from 1
	record.Order
	record.Outcome
	record.Times

	*Cell
	*Call
	*record.Answer
	*record.DeviceWindow
	*record.OllamaCall
	*Facts

	ParamsMillionsMeasured *float64

	// Of a run of several machines (cells.New fills them in): the type of the record's machine, as readers know it, where
	// there are several types; and its number, from 1, where machines are what intervals are over.
	MachineType string
	Node        int
}

// Machine is the id of the one that measured; "" in records of before it was told.
func (r *Row) Machine() string {
	if r.MachineID == nil {
		return ""
	}
	return *r.MachineID
}

// Unit tells independent measurements of a cell apart, over which intervals are: blocks, or machines, since the blocks of
// one machine have its ways in common.
func (r *Row) Unit() int {
	if r.Node > 0 {
		return -r.Node
	}
	return r.Replicate
}

// Cell is what the records of a cell have in common.
type Cell struct {
	record.Origin
	record.Subject
}

// Call is what the records of a call's modes have in common.
type Call struct {
	record.Phases
	record.Costs
}

// Facts are what the records of a model under one setting have in common.
type Facts struct {
	record.ModelFacts
	record.RuntimeFacts
	record.OllamaServer
}

// RowOf is the row of a record. It shares nothing with other rows.
func RowOf(r record.Record) Row {
	return Row{Order: r.Order, Outcome: r.Outcome, Times: r.Times,
		Cell: &Cell{r.Origin, r.Subject}, Call: &Call{r.Phases, r.Costs}, Answer: &r.Answer,
		DeviceWindow: &r.DeviceWindow, OllamaCall: &r.OllamaCall, Facts: &Facts{r.ModelFacts, r.RuntimeFacts, r.OllamaServer}}
}

// Record is the row's record, but for its null_reasons.
func (r *Row) Record() record.Record {
	return record.Record{Origin: r.Origin, Order: r.Order, Subject: r.Subject, Outcome: r.Outcome,
		Measurement: record.Measurement{Phases: r.Phases, Answer: *r.Answer, Costs: r.Costs}, DeviceWindow: *r.DeviceWindow,
		OllamaCall: *r.OllamaCall, ModelFacts: r.ModelFacts, RuntimeFacts: r.RuntimeFacts, OllamaServer: r.OllamaServer, Times: r.Times}
}

// Sequences is how many were decoded together; where nothing told, how many were asked for.
func (r *Row) Sequences() int { return r.Subject.Sequences(&r.Phases) }

// GenTokens is the number of tokens per sequence that the record's decode time
// stands for: of an answer that was scaled to its target, the target's.
func (r *Row) AnswerTokens() *int {
	if r.DecodeEquivMS != nil && r.GenTokensEquiv != nil {
		return r.GenTokensEquiv
	}
	return r.GenTokens
}

// PromptEach is the length of one sequence's prompt.
func (r *Row) PromptEach() *int {
	if r.PromptTokensRaw == nil {
		return nil
	}
	return new(*r.PromptTokensRaw / r.Sequences())
}

// Latency is the record's time, if it is one.
func (r *Row) Latency() (ms float64, ok bool) {
	if r.LatencyMS == nil || !(*r.LatencyMS > MinLatencyMS) || !(*r.LatencyMS < MaxLatencyMS) {
		return 0, false
	}
	return *r.LatencyMS, true
}

// Pace is hot or cold; "" where there was neither.
func (r *Row) PaceText() string {
	if r.Pace == nil {
		return ""
	}
	return *r.Pace
}

// Depth is how many positions of the KV cache were in use before the call; older
// records have none.
func (r *Row) DepthTokens() int { return max(0, r.Depth) }

// standing orders records of one planned measurement: a failure, a call that was
// spoilt, one that counts.
func (r *Row) standing() int {
	switch {
	case !r.OK():
		return 0
	case r.Invalid():
		return 1
	}
	return 2
}

// Bounds of what can be a time, in ms: a femtosecond and 30,000 years. Between
// them no mean, ratio or square of times overflows.
const (
	MinLatencyMS = 1e-12
	MaxLatencyMS = 1e15
)
