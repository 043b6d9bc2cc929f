// SPDX-License-Identifier: MIT

package ollama

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/record"
)

// Kind is the name of this backend in a config.
const Kind = "ollama"

// Options say which server and model a Backend measures, beside what LoadSpec
// says of the context.
type Options struct {
	URL    string // of the server; "": as Ollama's own tools find it
	Model  string // name of the model on the server
	Limits Limits

	// Tokenize gives a text's ids in the model's own vocabulary, with the tokens that
	// the model wants around a text, as Ollama's raw mode adds them
	// (runner/llamarunner/runner.go#L211: add_special and parse_special are true; without
	// the latter, texts that spell a special token count differently).
	// nil: prompts of N tokens cannot be made, and a cached prefix is noticed
	// only where the text of two prompts begins alike.
	Tokenize func(text string) ([]int32, error)

	// BanRepeats keeps the greedy answer from repeating itself, for models that would
	// run into the server's limit of 30 equal tokens: a presence penalty beyond any
	// logit, over the last 64 tokens. The text is then no longer that of plain greedy
	// decoding. Only Ollama's llama.cpp runner heeds it.
	BanRepeats bool
	// EOSText is the text of the model's end-of-sequence token; "": not used. Together
	// with BanRepeats it suppresses EOS: prompts of N tokens end in it, and the penalty
	// reaches back over the whole context, so that no token of the prompt, EOS among
	// them, can be sampled.
	EOSText string

	// UnloadOthers makes the server drop all other loaded models first. Without it
	// they are named in Server.Others.
	UnloadOthers bool
}

// keepAlive holds the model between two calls; Close unloads it. Not endless: a
// worker that is killed must not leave it loaded for good.
const keepAlive = 30 * time.Minute

// Server says what a load found out about the server and the model.
type Server struct {
	URL           string   `json:"url"`
	Version       string   `json:"version"`
	Model         string   `json:"model"`
	ModelDigest   string   `json:"model_digest"`   // of the model's manifest, hex
	WeightsSHA256 string   `json:"weights_sha256"` // of the GGUF that the server loads; "" where it does not tell
	SizeBytes     int64    `json:"size_bytes"`     // of the model's files
	Architecture  string   `json:"architecture"`
	ParameterSize string   `json:"parameter_size"`
	Quantization  string   `json:"quantization"`
	Defaults      string   `json:"defaults,omitempty"` // the model's own parameters; the calls override what matters
	NCtx          int      `json:"n_ctx"`              // of one sequence, as loaded
	LoadedBytes   int64    `json:"loaded_bytes"`
	VRAMBytes     int64    `json:"vram_bytes"`
	OffloadShare  *float64 `json:"offload_share"`    // vram_bytes / loaded_bytes; nil where the server does not tell
	Others        []string `json:"others,omitempty"` // models that were loaded beside it
	Differs       []string `json:"differs"`          // settings that are not, or not known to be, the native cell's
}

// Backend measures through an Ollama server. Make it with New.
type Backend struct {
	opts   Options
	client *Client
	spec   runner.LoadSpec
	server Server
	loadMS float64
	bos    int // tokens that begin every prompt of this model
	seen   []prompt
	up     bool
}

var _ runner.Backend = (*Backend)(nil)

// New returns a backend. Nothing is sent before Load.
func New(opts Options) *Backend { return &Backend{opts: opts} }

// Server returns what Load found.
func (b *Backend) Server() Server { return b.server }

// Load makes the server load the model afresh, with the spec's context, threads
// and GPU layers. progress is not called: the API does not tell.
func (b *Backend) Load(spec runner.LoadSpec, progress func(share float64)) (_ runner.LoadInfo, err error) {
	defer func() { err = failure(err) }()
	if b.client, err = NewClient(b.opts.URL, b.opts.Limits); err != nil {
		return runner.LoadInfo{}, err
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	b.spec, b.seen = spec, nil
	ctx := context.Background()
	if err := b.describe(ctx); err != nil {
		return runner.LoadInfo{}, err
	}
	if err := b.clear(ctx); err != nil {
		return runner.LoadInfo{}, err
	}
	if b.opts.Tokenize != nil {
		ids, err := b.opts.Tokenize("")
		if err != nil {
			return runner.LoadInfo{}, fmt.Errorf("ollama: tokenise: %w", err)
		}
		b.bos = len(ids)
	}
	// An empty prompt is how the API spells "load".
	b.up = true // from here on there may be something to unload
	a, err := b.client.Generate(ctx, "load "+b.opts.Model, b.request("", 0), b.client.limits.Load, 1)
	if err != nil {
		return runner.LoadInfo{}, err
	}
	if a.Final == nil {
		return runner.LoadInfo{}, &Error{Op: "load " + b.opts.Model, Status: record.StatusError, Reason: "the server hung up without saying whether the model is loaded"}
	}
	b.loadMS = ms(a.WallNS)
	if err := b.observe(ctx); err != nil {
		return runner.LoadInfo{}, err
	}
	return runner.LoadInfo{ModelLoadMS: b.loadMS, NCtx: b.server.NCtx, GPULayers: b.gpuLayers()}, nil
}

// describe asks what the model is, before anything is loaded.
func (b *Backend) describe(ctx context.Context) error {
	version, err := b.client.Version(ctx)
	if err != nil {
		return err
	}
	show, err := b.client.Show(ctx, b.opts.Model)
	if notFound(err) {
		return &Error{Op: "load " + b.opts.Model, Status: record.StatusError, HTTP: 404, cause: err,
			Reason: fmt.Sprintf("%s has no model %q: `ollama pull %s` fetches it, or import a file", b.client.URL(), b.opts.Model, b.opts.Model)}
	}
	if err != nil {
		return err
	}
	if show.RemoteHost != "" {
		return &Error{Op: "load " + b.opts.Model, Status: record.StatusError, Reason: "the model runs on " + show.RemoteHost + ", not on the server: its times would be another machine's"}
	}
	models, err := b.client.List(ctx)
	if err != nil {
		return err
	}
	b.server = Server{URL: b.client.URL(), Version: version, Model: b.opts.Model, Architecture: show.Details.Family, ParameterSize: show.Details.ParameterSize,
		Quantization: show.Details.QuantizationLevel, Defaults: show.Parameters, WeightsSHA256: weightsDigest(show.Modelfile), Differs: b.differs()}
	for _, m := range models {
		if sameName(m.Name, b.opts.Model) || sameName(m.Model, b.opts.Model) {
			b.server.ModelDigest, b.server.SizeBytes = strings.TrimPrefix(m.Digest, "sha256:"), m.Size
		}
	}
	return nil
}

// fromBlob is the line of a model's Modelfile that names the file of its weights.
var fromBlob = regexp.MustCompile(`(?m)^FROM .*sha256[-:]([0-9a-f]{64})\s*$`)

func weightsDigest(modelfile string) string {
	if m := fromBlob.FindStringSubmatch(modelfile); m != nil {
		return m[1]
	}
	return ""
}

// sameName says whether two names are one model to Ollama, which adds the tag
// "latest" and does not count letter case.
func sameName(a, b string) bool {
	full := func(s string) string {
		if !strings.Contains(s[strings.LastIndexByte(s, '/')+1:], ":") {
			s += ":latest"
		}
		return s
	}
	return a != "" && strings.EqualFold(full(a), full(b))
}

func loaded(models []api.ProcessModelResponse, name string) *api.ProcessModelResponse {
	for i, m := range models {
		if sameName(m.Name, name) || sameName(m.Model, name) {
			return &models[i]
		}
	}
	return nil
}

// clear unloads the model, so that each cell starts with an empty cache and its
// own settings, and the others if that is wanted.
func (b *Backend) clear(ctx context.Context) error {
	models, err := b.client.Running(ctx)
	if err != nil {
		return err
	}
	for _, m := range models {
		// Two names of one file share the server's runner (server/sched.go#L88), and the
		// list shows only one of them: equal digests are the same runner too.
		own := sameName(m.Name, b.opts.Model) || m.Digest != "" && strings.TrimPrefix(m.Digest, "sha256:") == b.server.ModelDigest
		if !own && !b.opts.UnloadOthers {
			b.server.Others = append(b.server.Others, m.Name)
			continue
		}
		if err := b.client.Unload(ctx, m.Name); err != nil {
			return err
		}
	}
	// A runner under another name of the same file is not in that list as ours; asking
	// to unload ours hits it all the same, and does nothing where there is none.
	return b.client.Unload(ctx, b.opts.Model)
}

// observe reads what the server really loaded.
func (b *Backend) observe(ctx context.Context) error {
	models, err := b.client.Running(ctx)
	if err != nil {
		return err
	}
	m := loaded(models, b.opts.Model)
	if m == nil {
		return &Error{Op: "load " + b.opts.Model, Status: record.StatusError, Reason: "the server said that it loaded the model, and does not list it among the loaded ones"}
	}
	b.server.NCtx, b.server.LoadedBytes, b.server.VRAMBytes = m.ContextLength, m.Size, m.SizeVRAM
	if m.Size > 0 {
		share := float64(m.SizeVRAM) / float64(m.Size)
		b.server.OffloadShare = &share
	}
	if m.ContextLength > 0 && m.ContextLength != b.spec.NCtx {
		b.server.Differs = append(b.server.Differs, fmt.Sprintf("n_ctx: %d asked for, %d loaded", b.spec.NCtx, m.ContextLength))
	}
	return nil
}

// gpuLayers is the spec's number in Ollama's words: -1 lets it fit as many as it
// can, and a model's layers and its output head are all there is to offload.
func (b *Backend) gpuLayers() int {
	switch {
	case b.spec.Device != config.DeviceCUDA:
		return 0
	case b.spec.GPULayers == config.AllLayers:
		return b.spec.Layers + 1
	case b.spec.GPULayers == config.FitLayers:
		return -1
	}
	return b.spec.GPULayers
}

// differs names the settings that the API cannot make, or show to be, the native
// cell's.
func (b *Backend) differs() []string {
	s := b.spec
	out := []string{
		"flash_attn: the server's OLLAMA_FLASH_ATTENTION decides, and no answer tells it",
		"kv_type: the server's OLLAMA_KV_CACHE_TYPE decides (f16 if unset), and no answer tells it; natively " + s.KVType,
		"parallel sequences: the server's OLLAMA_NUM_PARALLEL multiplies the KV cache, and no answer tells it; natively 1",
	}
	if s.ThreadsBatch != s.Threads {
		out = append(out, fmt.Sprintf("n_threads_batch: num_thread sets both, to %d; natively %d", s.Threads, s.ThreadsBatch))
	}
	if s.NBatch != s.NUBatch {
		out = append(out, fmt.Sprintf("n_batch: num_batch sets both, to n_ubatch %d; natively n_batch %d", s.NUBatch, s.NBatch))
	}
	if b.opts.BanRepeats {
		out = append(out, "sampling: repeats are banned by a presence penalty; natively plain argmax")
	}
	return out
}

// request is a call of the API with everything that could differ spelt out.
func (b *Backend) request(text string, numPredict int) *api.GenerateRequest {
	no, yes := false, true
	options := map[string]any{
		// Of the runner: equal in all calls, or the server loads the model again.
		"num_ctx":    b.spec.NCtx,
		"num_thread": b.spec.Threads,
		"num_gpu":    b.gpuLayers(),
		"num_batch":  b.spec.NUBatch,
		"use_mmap":   b.spec.Mmap,

		"num_predict":       numPredict,
		"temperature":       0,
		"seed":              42, // without effect on a greedy choice; set so that nothing is left to chance
		"top_k":             1,
		"top_p":             1,
		"min_p":             0,
		"typical_p":         1,
		"repeat_penalty":    1,
		"presence_penalty":  0,
		"frequency_penalty": 0,
		"repeat_last_n":     64,
		"stop":              []string{}, // over the model's own, which would end an answer early
	}
	if b.opts.BanRepeats {
		options["presence_penalty"] = 1e6
		if b.opts.EOSText != "" {
			options["repeat_last_n"] = b.spec.NCtx
		}
	}
	return &api.GenerateRequest{
		Model: b.opts.Model, Prompt: text, Raw: true, Stream: &yes, Truncate: &no, Shift: &no,
		KeepAlive: &api.Duration{Duration: keepAlive}, Options: options, Think: &api.ThinkValue{Value: false},
	}
}

// Close unloads the model from the server. It may be called twice.
func (b *Backend) Close() error {
	if b.client == nil {
		return nil
	}
	var err error
	if b.up {
		b.up = false
		err = b.client.Unload(context.Background(), b.opts.Model)
	}
	b.client.Close()
	b.client, b.seen = nil, nil
	return failure(err)
}

// failure gives an error the status under which it goes on record.
func failure(err error) error {
	var e *Error
	var f *runner.Failure
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.As(err, &e):
		return runner.Failf(e.Status, "%v", e)
	}
	return runner.Failf(record.StatusError, "%v", err)
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }

func ptr[T any](v T) *T { return &v }
