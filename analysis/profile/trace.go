package profile

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
)

// event is one of Chrome's trace-event format, which ui.perfetto.dev and chrome://tracing open: a complete event
// (ph "X") or a name (ph "M"). ts and dur are microseconds.
type event struct {
	Name string         `json:"name"`
	Cat  string         `json:"cat,omitempty"`
	Ph   string         `json:"ph"`
	TS   *float64       `json:"ts,omitempty"`
	Dur  *float64       `json:"dur,omitempty"`
	PID  int            `json:"pid"`
	TID  int            `json:"tid"`
	Args map[string]any `json:"args,omitempty"`
}

// WriteTrace writes what was recorded as trace events: a row with the steps, and a row for each lane. Times count
// from the first step's start.
func (in *Input) WriteTrace(w io.Writer) error {
	if err := in.check(); err != nil {
		return err
	}
	zero := in.Steps[0].StartNS
	complete := func(name, cat string, start, end int64, tid int, args map[string]any) event {
		ts, dur := float64(start-zero)/1e3, float64(end-start)/1e3
		return event{Name: name, Cat: cat, Ph: "X", TS: &ts, Dur: &dur, PID: 1, TID: tid, Args: args}
	}
	lanes := map[string]int{}
	for i := range in.Activities {
		lanes[in.Activities[i].Lane] = 0
	}
	events := []event{
		{Name: "process_name", Ph: "M", PID: 1, Args: map[string]any{"name": "llmscale profile"}},
		{Name: "thread_name", Ph: "M", PID: 1, TID: 1, Args: map[string]any{"name": "steps"}},
	}
	for i, lane := range slices.Sorted(maps.Keys(lanes)) {
		lanes[lane] = i + 2
		events = append(events, event{Name: "thread_name", Ph: "M", PID: 1, TID: i + 2, Args: map[string]any{"name": lane}})
	}
	for i, s := range in.Steps {
		events = append(events, complete(stepName(i), "step", s.StartNS, s.EndNS, 1, map[string]any{"tokens": s.Tokens}))
	}
	for i := range in.Activities {
		a := &in.Activities[i]
		name := a.Name
		if name == "" {
			name = a.Kind
		}
		args := maps.Clone(a.Details)
		if args == nil {
			args = map[string]any{}
		}
		if a.Class != "" {
			args["class"] = a.Class
		}
		if a.Bytes != 0 {
			args["bytes"] = a.Bytes
		}
		events = append(events, complete(name, a.Kind, a.StartNS, a.EndNS, lanes[a.Lane], args))
	}
	return json.NewEncoder(w).Encode(map[string]any{"traceEvents": events, "displayTimeUnit": "ns"})
}
