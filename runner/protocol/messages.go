package protocol

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sync"

	"llmscale/runner/ceilings"
)

// Messages are one JSON object per line, requests on the worker's stdin, replies on
// its file descriptor 3. stdout and stderr stay free for whatever native code prints.
// There is one request at a time; while the worker computes, the coordinator sleeps in
// a read.

// Request asks the worker for one thing: exactly one of Hello, Load, Measure, Probe
// and Task is set.
type Request struct {
	Hello   *HelloSpec      `json:"hello,omitempty"`
	Load    *LoadSpec       `json:"load,omitempty"`
	Measure *CallSpec       `json:"measure,omitempty"`
	Probe   *ProbeSpec      `json:"probe,omitempty"`
	Task    json.RawMessage `json:"task,omitempty"` // see Tasker

	// Of a load: the server's address with its secrets, which Load.Ollama.URL leaves out of JSON.
	Address string `json:"address,omitempty"`
}

// LoadRequest asks for a load, with the secrets of its server.
func LoadRequest(spec *LoadSpec) Request {
	req := Request{Load: spec}
	if spec.Ollama != nil {
		req.Address = spec.Ollama.URL.Reveal()
	}
	return req
}

// HelloSpec asks a program what it is, before anything else: another build than the coordinator's may speak otherwise.
type HelloSpec struct {
	GPU bool `json:"gpu"` // also whether models can run on a GPU with it
}

// HelloReply says what the worker's program is.
type HelloReply struct {
	Protocol string `json:"protocol"`
	Schema   int    `json:"schema_version"` // of records
	Build    Build  `json:"build"`
	NoGPU    string `json:"no_gpu,omitempty"` // why models cannot run on a GPU; "": they can, or it was not asked
}

// version counts changes of what the messages mean; what they hold is in the ID by itself.
const version = 1

// ID identifies what requests and replies hold and mean. JSON would read messages of another build and leave out
// what it does not know: a worker that has never heard of a setting would measure without it.
var ID = sync.OnceValue(func() string {
	digest := sha256.New()
	shape(digest, reflect.TypeFor[Request](), map[reflect.Type]bool{})
	shape(digest, reflect.TypeFor[Reply](), map[reflect.Type]bool{})
	return fmt.Sprintf("%d-%x", version, digest.Sum(nil)[:4])
})

// shape writes down a type as JSON has it: kinds, and the names of fields.
func shape(w io.Writer, t reflect.Type, seen map[reflect.Type]bool) {
	fmt.Fprint(w, t.Kind(), " ")
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		shape(w, t.Elem(), seen)
	case reflect.Map:
		shape(w, t.Key(), seen)
		shape(w, t.Elem(), seen)
	case reflect.Struct:
		if seen[t] {
			return
		}
		seen[t] = true
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() {
				fmt.Fprintf(w, "%s %s ", f.Name, f.Tag.Get("json"))
				shape(w, f.Type, seen)
			}
		}
	}
}

// Reply answers a request. Share replies may precede the final one.
type Reply struct {
	Share       *float64         `json:"share,omitempty"`
	Hello       *HelloReply      `json:"hello,omitempty"`
	Loaded      *LoadInfo        `json:"loaded,omitempty"`
	Probed      *ceilings.Device `json:"probed,omitempty"`
	Measurement *Sample          `json:"measurement,omitempty"`
	Answer      json.RawMessage  `json:"answer,omitempty"` // to a task
	Failure     *FailureReply    `json:"failure,omitempty"`
}

// FailureReply is a record.Failure of the worker.
type FailureReply struct {
	Status string   `json:"status"`
	Reason string   `json:"reason"`
	Log    []string `json:"log,omitempty"` // the runtime's warnings and errors since the request came
}
