package runner

import "llmscale/runner/ceilings"

// The protocol between coordinator and worker: one JSON object per line,
// requests on the worker's stdin, replies on its file descriptor 3. stdout and
// stderr stay free for whatever native code prints. There is one request at a
// time; while the worker computes, the coordinator sleeps in a read.

// workerFD is the worker's reply pipe: the first of exec.Cmd.ExtraFiles.
const workerFD = 3

// request asks the worker for one thing: exactly one of Load, Measure
// and Probe is set.
type request struct {
	Load    *LoadSpec  `json:"load,omitempty"`
	Measure *CallSpec  `json:"measure,omitempty"`
	Probe   *ProbeSpec `json:"probe,omitempty"`

	// Of a load: the server's address with its secrets, which Load.Ollama.URL leaves out of JSON.
	Address string `json:"address,omitempty"`
}

func loadRequest(spec *LoadSpec) request {
	req := request{Load: spec}
	if spec.Ollama != nil {
		req.Address = spec.Ollama.URL.Reveal()
	}
	return req
}

// reply answers a request. Share replies may precede the final one.
type reply struct {
	Share       *float64         `json:"share,omitempty"`
	Loaded      *LoadInfo        `json:"loaded,omitempty"`
	Probed      *ceilings.Device `json:"probed,omitempty"`
	Measurement *Sample          `json:"measurement,omitempty"`
	Failure     *failureReply    `json:"failure,omitempty"`
}

type failureReply struct {
	Status string   `json:"status"`
	Reason string   `json:"reason"`
	Log    []string `json:"log,omitempty"` // the runtime's warnings and errors since the request came
}
