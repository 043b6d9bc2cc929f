package ollama

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/types/model"

	"llmscale/internal/awake"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// Tokenizer is that of one GGUF file.
type Tokenizer interface {
	// Tokenize gives a text's ids with the tokens that the model wants around a text,
	// and special tokens where the text spells them, as Ollama's raw mode does
	// (runner/llamarunner/runner.go#L211: add_special and parse_special are true).
	Tokenize(text string) ([]int32, error)
	// EOSText is the text of the end-of-sequence token; "": the file names none.
	EOSText() string
	Close() error
}

// Options are what a LoadSpec does not say.
type Options struct {
	Limits Limits

	// OpenTokenizer opens the tokeniser of the GGUF at path. nil: there is none, so
	// that prompts of N tokens cannot be made, and a cached prefix is noticed only
	// where the text of two prompts begins alike.
	OpenTokenizer func(path string) (Tokenizer, error)
}

// keepAlive holds the model between two calls; Close unloads it. Not endless: a
// worker that is killed must not leave it loaded for good.
const keepAlive = 30 * time.Minute

// Backend measures through an Ollama server. Make it with New.
type Backend struct {
	opts      Options
	client    *Client
	tokenizer Tokenizer // nil: none
	spec      protocol.LoadSpec
	served    protocol.OllamaSpec
	server    record.OllamaServer
	nCtx      int // of one sequence, as the server loaded it; 0: it does not tell
	loadMS    float64
	bos       int // tokens that begin every prompt of this model
	seen      []prompt
	up        bool
}

var _ protocol.Backend = (*Backend)(nil)

// New returns a backend. Nothing is sent before Load.
func New(opts Options) *Backend { return &Backend{opts: opts} }

// Load makes the server load the model afresh, with the spec's context, threads
// and GPU layers. progress is not called: the API does not tell.
func (b *Backend) Load(spec protocol.LoadSpec, progress func(share float64)) (_ protocol.LoadInfo, err error) {
	defer func() { err = failure(err) }()
	if spec.Ollama == nil || spec.Ollama.Model == "" {
		return protocol.LoadInfo{}, errors.New("ollama: no model of a server to load")
	}
	b.spec, b.served, b.seen = spec, *spec.Ollama, nil
	limits := b.opts.Limits
	if s := b.served.TimeoutS; s > 0 {
		d := time.Duration(s * float64(time.Second))
		limits.Load, limits.Call = d, d
	}
	if b.client, err = NewClient(b.served.URL.Reveal(), limits); err != nil {
		return protocol.LoadInfo{}, err
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	ctx, cancel := awake.WithTimeout(context.Background(), b.client.limits.Load) // of all that follows
	defer cancel()
	if err := b.describe(ctx); err != nil {
		return protocol.LoadInfo{}, gone(err)
	}
	if err := b.clear(ctx); err != nil {
		return protocol.LoadInfo{}, err
	}
	if b.opts.OpenTokenizer != nil {
		if b.tokenizer, err = b.opts.OpenTokenizer(spec.ModelFile); err != nil {
			return protocol.LoadInfo{}, fmt.Errorf("ollama: the model's tokeniser: %w", err)
		}
		ids, err := b.tokenizer.Tokenize("")
		if err != nil {
			return protocol.LoadInfo{}, fmt.Errorf("ollama: tokenise: %w", err)
		}
		b.bos = len(ids)
	}
	// An empty prompt is how the API spells "load".
	b.up = true // from here on there may be something to unload
	op := "load " + b.served.Model
	a, err := b.client.Generate(ctx, op, b.request("", 0), b.client.limits.Load, 1)
	if err != nil {
		return protocol.LoadInfo{}, err
	}
	if a.Final == nil {
		return protocol.LoadInfo{}, &Error{Op: op, Status: record.StatusError, Reason: "the server hung up without saying whether the model is loaded"}
	}
	b.loadMS = ms(a.WallNS)
	if err := b.observe(ctx); err != nil {
		return protocol.LoadInfo{}, err
	}
	server := b.server
	return protocol.LoadInfo{ModelLoadMS: b.loadMS, NCtx: b.nCtx, GPULayers: b.gpuLayers(), Ollama: &server}, nil
}

// describe asks what the model is, before anything is loaded.
func (b *Backend) describe(ctx context.Context) error {
	version, err := b.client.Version(ctx)
	if err != nil {
		return err
	}
	show, err := b.client.Show(ctx, b.served.Model)
	if notFound(err) {
		return &Error{Op: "load " + b.served.Model, Status: record.StatusError, HTTP: 404, cause: err,
			Reason: fmt.Sprintf("%s has no model %q: `ollama pull %s` fetches it, or import a file", b.client.URL(), b.served.Model, b.served.Model)}
	}
	if err != nil {
		return err
	}
	if show.RemoteHost != "" {
		return &Error{Op: "load " + b.served.Model, Status: record.StatusError, Reason: "the model runs on " + show.RemoteHost + ", not on the server: its times would be another machine's"}
	}
	models, err := b.client.List(ctx)
	if err != nil {
		return err
	}
	url := b.client.URL()
	b.server = record.OllamaServer{OllamaURL: &url, OllamaVersion: &version, OllamaModel: &b.served.Model,
		OllamaQuantization: known(show.Details.QuantizationLevel), OllamaWeights: known(weightsDigest(show.Modelfile)), OllamaDiffers: b.differs()}
	if show.Parameters != "" {
		// Those that matter are sent with every call; a "stop" of the model's own would end answers early.
		b.server.OllamaDiffers = append(b.server.OllamaDiffers, "the model's own parameters, where the calls do not override them: "+strings.Join(strings.Fields(show.Parameters), " "))
	}
	for _, m := range models {
		if sameName(m.Name, b.served.Model) || sameName(m.Model, b.served.Model) {
			b.server.OllamaDigest = known(strings.TrimPrefix(m.Digest, "sha256:"))
		}
	}
	refuse := func(format string, args ...any) error {
		return &Error{Op: "load " + b.served.Model, Status: record.StatusError, Reason: fmt.Sprintf(format, args...)}
	}
	switch w, want := b.server.OllamaWeights, b.served.SHA256; {
	case want == "":
	case w == nil:
		return refuse("the server does not say which file its model is made of (its Modelfile has no line FROM with a SHA-256): it need not be the one that was planned (%.12s...)", want)
	case *w != want:
		return refuse("the server's model is made of another file (SHA-256 %.12s...) than the native backend loads (%.12s...): the two would not be the same weights", *w, want)
	}
	// Older servers list none (server/images.go#L84: a file with a pooling type is for embeddings, any other for text).
	if c := show.Capabilities; len(c) > 0 && !slices.Contains(c, model.CapabilityCompletion) {
		return refuse("the model cannot be measured: it writes no text, the server has it for %v alone", c)
	}
	return nil
}

// known is nil for what the server does not know: f32 files have the quantization
// "unknown" (fs/ggml/ggml.go#L47).
func known(s string) *string {
	if s == "" || s == "unknown" {
		return nil
	}
	return &s
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
		own := sameName(m.Name, b.served.Model) || m.Digest != "" && b.server.OllamaDigest != nil && strings.TrimPrefix(m.Digest, "sha256:") == *b.server.OllamaDigest
		if !own {
			b.server.OllamaOthers = append(b.server.OllamaOthers, m.Name)
			continue
		}
		if err := b.client.Unload(ctx, m.Name); err != nil {
			return err
		}
	}
	// A runner under another name of the same file is not in that list as ours; asking
	// to unload ours hits it all the same, and does nothing where there is none.
	return b.client.Unload(ctx, b.served.Model)
}

// observe reads what the server really loaded.
func (b *Backend) observe(ctx context.Context) error {
	models, err := b.client.Running(ctx)
	if err != nil {
		return err
	}
	m := loaded(models, b.served.Model)
	if m == nil {
		return &Error{Op: "load " + b.served.Model, Status: record.StatusError, Reason: "the server said that it loaded the model, and does not list it among the loaded ones"}
	}
	b.nCtx, b.server.OllamaLoadedBytes, b.server.OllamaVRAMBytes = m.ContextLength, &m.Size, &m.SizeVRAM
	if m.Size > 0 {
		b.server.OllamaOffloadShare = ptr(float64(m.SizeVRAM) / float64(m.Size))
	}
	if share := b.server.OllamaOffloadShare; b.spec.Device == config.DeviceCUDA && share != nil && *share < 1 {
		b.server.OllamaDiffers = append(b.server.OllamaDiffers, fmt.Sprintf("offload: %.0f %% of the loaded model is on the GPU", 100**share))
	}
	if m.ContextLength > 0 && m.ContextLength != b.spec.NCtx {
		b.server.OllamaDiffers = append(b.server.OllamaDiffers, fmt.Sprintf("n_ctx: %d asked for, %d loaded", b.spec.NCtx, m.ContextLength))
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
	out := []string{
		"flash_attn: the server's OLLAMA_FLASH_ATTENTION decides, and no answer tells it",
		"kv_type: the server's OLLAMA_KV_CACHE_TYPE decides (f16 if unset), and no answer tells it",
		"parallel sequences: the server's OLLAMA_NUM_PARALLEL multiplies the KV cache, and no answer tells it; natively 1",
		fmt.Sprintf("batch_tokens and threads_batch: the API has one number each for prefill and decode, %d and %d", b.spec.NUBatch, b.spec.Threads),
		"build: the server's own build of ggml, with its own threads",
	}
	if b.served.BanRepeats {
		out = append(out, fmt.Sprintf("sampling: answers of more than %d tokens may not repeat tokens; natively plain argmax", repeatLimit))
	}
	return out
}

// bans tells whether an answer of that many tokens must not repeat any.
func (b *Backend) bans(tokens int) bool { return b.served.BanRepeats && tokens > repeatLimit }

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
	if b.bans(numPredict) {
		// Beyond any logit. It reaches back over the whole context, so that a prompt that
		// ends in the end-of-sequence token bans that too.
		options["presence_penalty"] = 1e6
		options["repeat_last_n"] = b.spec.NCtx
	}
	return &api.GenerateRequest{
		Model: b.served.Model, Prompt: text, Raw: true, Stream: &yes, Truncate: &no, Shift: &no,
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
		err = b.client.Unload(context.Background(), b.served.Model)
	}
	if b.tokenizer != nil {
		err = errors.Join(err, b.tokenizer.Close())
		b.tokenizer = nil
	}
	b.client.Close()
	b.client, b.seen = nil, nil
	return failure(err)
}

// failure gives an error the status under which it goes on record.
func failure(err error) error {
	var e *Error
	var f *record.Failure
	switch {
	case err == nil || errors.As(err, &f):
		return err
	case errors.As(err, &e):
		return record.Failf(e.Status, "%s", lines(err))
	}
	return record.Failf(record.StatusError, "%s", lines(err))
}

// lines puts joined errors into one line.
func lines(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// gone makes a server that cannot be reached any more an error: it was there when the
// job began, so that this machine is not one without a server, which is waived.
func gone(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Status != record.StatusWaived {
		return err
	}
	return &Error{Op: e.Op, Status: record.StatusError, Reason: "the server is gone: " + e.Reason, cause: err}
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }

func ptr[T any](v T) *T { return &v }
