package ollama

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ollama/ollama/api"
)

// short bounds every exchange of the tests. Nothing here waits for more than a few
// of these; patience is what a test as a whole may take on a machine that is busy.
var short = Limits{
	Connect: time.Second, Idle: 250 * time.Millisecond, Small: 500 * time.Millisecond, Load: time.Second, Call: time.Second,
	Transfer: 2 * time.Second, MaxBytes: 1 << 20, MaxLine: 64 << 10,
}

const patience = 20 * time.Second

// fakeServer behaves as Ollama v0.24.0 does where this package relies on it: it
// caches the prompt's prefix, counts it all the same, and keeps models and blobs.
type fakeServer struct {
	t  testing.TB
	mu sync.Mutex

	models  map[string]string // name: digest of the manifest
	blobs   map[string]int    // digest: bytes
	loaded  map[string]map[string]any
	prompts []string // sent
	deleted []string
	created []string
	uploads int
	options []map[string]any
	vram    float64 // share of the model in VRAM

	tokens   func(prompt string) int     // nil: one per word
	pieces   func(n int) []string        // of the answer; nil: n words
	final    func(m map[string]any)      // changes the final message
	generate http.HandlerFunc            // replaces what answers a prompt
	override map[string]http.HandlerFunc // by path
}

func newFake(t testing.TB) (*fakeServer, string) {
	f := &fakeServer{t: t, models: map[string]string{"m:latest": "sha256:" + strings.Repeat("a", 64)}, blobs: map[string]int{}, loaded: map[string]map[string]any{}, override: map[string]http.HandlerFunc{}}
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return f, srv.URL
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, message string) {
	reply(w, code, map[string]string{"error": message})
}

func full(name string) string {
	if !strings.Contains(name, ":") {
		name += ":latest"
	}
	return name
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	h := f.override[r.URL.Path]
	f.mu.Unlock()
	if h != nil {
		h(w, r)
		return
	}
	if r.URL.Path == "/api/generate" {
		f.serveGenerate(w, r)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var req struct {
		Model string            `json:"model"`
		Files map[string]string `json:"files"`
	}
	digest, isBlob := strings.CutPrefix(r.URL.Path, "/api/blobs/")
	if !isBlob && r.Body != nil {
		json.NewDecoder(r.Body).Decode(&req)
	}
	name := full(req.Model)
	switch {
	case r.URL.Path == "/api/version":
		reply(w, 200, map[string]string{"version": "0.24.0"})
	case r.URL.Path == "/api/tags":
		var l api.ListResponse
		for n, d := range f.models {
			l.Models = append(l.Models, api.ListModelResponse{Name: n, Model: n, Digest: d, Size: 1000})
		}
		reply(w, 200, l)
	case r.URL.Path == "/api/ps":
		var l api.ProcessResponse
		for n, o := range f.loaded {
			ctx, _ := o["num_ctx"].(float64)
			l.Models = append(l.Models, api.ProcessModelResponse{Name: n, Model: n, Digest: f.models[n], Size: 2000, SizeVRAM: int64(2000 * f.vram), ContextLength: int(ctx)})
		}
		reply(w, 200, l)
	case r.URL.Path == "/api/show":
		if f.models[name] == "" {
			refuse(w, 404, fmt.Sprintf("model '%s' not found", req.Model))
			return
		}
		reply(w, 200, api.ShowResponse{Modelfile: "# Modelfile\nFROM /store/blobs/sha256-" + strings.Repeat("b", 64) + "\nTEMPLATE x\n",
			Details: api.ModelDetails{Family: "gpt2", ParameterSize: "5.04M", QuantizationLevel: "F32"}, ModelInfo: map[string]any{}})
	case isBlob && r.Method == http.MethodHead:
		if f.blobs[digest] == 0 {
			w.WriteHeader(404)
		}
	case isBlob && r.Method == http.MethodPost:
		data, err := io.ReadAll(r.Body)
		sum := sha256.Sum256(data)
		if got := "sha256:" + hex.EncodeToString(sum[:]); err != nil || got != digest {
			refuse(w, 400, fmt.Sprintf("digest mismatch, expected %q, got %q", digest, got))
			return
		}
		f.blobs[digest], f.uploads = len(data), f.uploads+1
		w.WriteHeader(201)
	case r.URL.Path == "/api/create":
		for file, d := range req.Files {
			if f.blobs[d] == 0 || !strings.HasSuffix(file, ".gguf") {
				refuse(w, 400, "no such blob")
				return
			}
		}
		f.models[name] = "sha256:" + strings.Repeat("c", 64)
		f.created = append(f.created, name)
		fmt.Fprintln(w, `{"status":"parsing GGUF"}`)
		fmt.Fprintln(w, `{"status":"success"}`)
	case r.URL.Path == "/api/delete":
		f.deleted = append(f.deleted, name)
		if f.models[name] == "" {
			refuse(w, 404, "model not found")
			return
		}
		delete(f.models, name)
	default:
		http.NotFound(w, r)
	}
}

func (f *fakeServer) serveGenerate(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var req struct {
		Model     string
		Prompt    string
		Raw       bool
		KeepAlive *api.Duration `json:"keep_alive"`
		Options   map[string]any
	}
	if err := json.Unmarshal(body, &req); err != nil {
		refuse(w, 400, err.Error())
		return
	}
	name := full(req.Model)
	f.mu.Lock()
	known := f.models[name] != ""
	switch {
	case !known:
	case req.Prompt == "" && req.KeepAlive != nil && req.KeepAlive.Duration == 0:
		delete(f.loaded, name)
		f.mu.Unlock()
		reply(w, 200, map[string]any{"model": req.Model, "done": true, "done_reason": "unload"})
		return
	default:
		f.loaded[name] = req.Options
		f.options = append(f.options, req.Options)
	}
	if req.Prompt != "" {
		f.prompts = append(f.prompts, req.Prompt)
	}
	f.mu.Unlock()
	switch {
	case !known:
		refuse(w, 404, fmt.Sprintf("model '%s' not found", req.Model))
		return
	case req.Prompt == "":
		reply(w, 200, map[string]any{"model": req.Model, "done": true, "done_reason": "load"})
		return
	case f.generate != nil:
		f.generate(w, r)
		return
	}
	n := int(req.Options["num_predict"].(float64))
	pieces := slices.Repeat([]string{" word"}, n)
	if f.pieces != nil {
		pieces = f.pieces(n)
	}
	count := len(strings.Fields(req.Prompt))
	if f.tokens != nil {
		count = f.tokens(req.Prompt)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	for _, p := range pieces {
		json.NewEncoder(w).Encode(map[string]any{"model": req.Model, "response": p, "done": false})
		w.(http.Flusher).Flush()
	}
	eval, reason := len(pieces), "length"
	if len(pieces) < n {
		eval, reason = eval+1, "stop" // EOS is sampled, counted and not sent
	}
	final := map[string]any{"model": req.Model, "response": "", "done": true, "done_reason": reason,
		"total_duration": 90_000_000, "load_duration": 5_000_000, "prompt_eval_count": count, "prompt_eval_duration": 20_000_000,
		"eval_count": eval, "eval_duration": 2_000_000 * (eval - 1)}
	if f.final != nil {
		f.final(final)
	}
	json.NewEncoder(w).Encode(final)
}

// wordTokens tokenises as the fake server counts: one id per word, after BOS
// where there is one.
func wordTokens(bos bool) func(string) ([]int32, error) {
	var mu sync.Mutex
	ids := map[string]int32{}
	return func(text string) ([]int32, error) {
		mu.Lock()
		defer mu.Unlock()
		var out []int32
		if bos {
			out = append(out, 0)
		}
		for _, w := range strings.Fields(text) {
			if ids[w] == 0 {
				ids[w] = int32(len(ids) + 1)
			}
			out = append(out, ids[w])
		}
		return out, nil
	}
}
