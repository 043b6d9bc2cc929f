package ollama

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"llmscale/internal/address"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

var spec = protocol.LoadSpec{NCtx: 256, Threads: 3, ThreadsBatch: 3, NBatch: 128, NUBatch: 128, Layers: 6, KVType: "f16", Mmap: true, Device: config.DeviceCPU}

// setup is what the tests vary of a load.
type setup struct {
	tokenize func(string) ([]int32, error)
	eos      string
	ban      bool
}

func (s setup) options() Options {
	o := Options{Limits: short}
	if s.tokenize != nil {
		o.OpenTokenizer = func(string) (Tokenizer, error) { return fakeTokenizer(s), nil }
	}
	return o
}

type fakeTokenizer setup

func (f fakeTokenizer) Tokenize(text string) ([]int32, error) { return f.tokenize(text) }
func (f fakeTokenizer) EOSText() string                       { return f.eos }
func (f fakeTokenizer) Close() error                          { return nil }

// at is spec for a model of a server.
func at(url, model string) protocol.LoadSpec {
	s := spec
	s.Ollama = &protocol.OllamaSpec{URL: address.Address(url), Model: model}
	return s
}

func load(t *testing.T, url string, o setup) *Backend {
	t.Helper()
	b := New(o.options())
	t.Cleanup(func() { b.Close() })
	s := at(url, "m")
	s.Ollama.BanRepeats = o.ban
	if _, err := b.Load(s, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// reasons joins what spoilt a call.
func reasons(s protocol.Sample) string {
	var all []string
	for _, mode := range record.Modes {
		all = append(all, s.Invalid[mode]...)
	}
	return strings.Join(all, "; ")
}

func TestLoadAndClose(t *testing.T) {
	f, url := newFake(t)
	f.vram = 0.25
	f.models["other:1b"] = "sha256:" + strings.Repeat("d", 64)
	f.loaded["other:1b"] = map[string]any{}
	f.loaded["m:latest"] = map[string]any{"num_ctx": 8.0} // left over, with other settings
	b := New(setup{}.options())
	info, err := b.Load(at(url, "m"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if info.NCtx != 256 || info.ModelLoadMS <= 0 || info.GPULayers != 0 {
		t.Errorf("load info %+v", info)
	}
	s := info.Ollama
	if *s.OllamaVersion != "0.24.0" || *s.OllamaDigest != strings.Repeat("a", 64) || *s.OllamaWeights != strings.Repeat("b", 64) || *s.OllamaQuantization != "F32" ||
		*s.OllamaOffloadShare != 0.25 || *s.OllamaModel != "m" || *s.OllamaURL != url || !slices.Equal(s.OllamaOthers, []string{"other:1b"}) {
		t.Errorf("server %+v", s)
	}
	want := map[string]any{"num_ctx": 256.0, "num_thread": 3.0, "num_gpu": 0.0, "num_batch": 128.0, "use_mmap": true, "temperature": 0.0, "repeat_penalty": 1.0}
	for k, v := range want {
		if got := f.options[len(f.options)-1][k]; got != v {
			t.Errorf("option %s is %v; want %v", k, got, v)
		}
	}
	if f.loaded["m:latest"] == nil {
		t.Error("the model is not loaded")
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if f.loaded["m:latest"] != nil || f.loaded["other:1b"] == nil {
		t.Errorf("loaded after Close: %v; want the other model alone", f.loaded)
	}
	if _, err := b.Measure(protocol.CallSpec{PromptTokens: 4, GenTokens: 4}); err == nil {
		t.Error("a call after Close succeeded")
	}
}

func TestLoadRefusals(t *testing.T) {
	f, url := newFake(t)
	_, err := New(setup{}.options()).Load(at(url, "gone:7b"), nil)
	expect(t, "load", err, record.StatusError, `has no model "gone:7b": `+"`ollama pull gone:7b`")

	f.override["/api/show"] = says(200, "application/json", `{"remote_host":"https://ollama.com","model_info":{}}`)
	_, err = New(setup{}.options()).Load(at(url, "m"), nil)
	expect(t, "load", err, record.StatusError, "runs on https://ollama.com")
	delete(f.override, "/api/show")

	// It says that it loaded, and does not list the model.
	f.override["/api/ps"] = says(200, "application/json", `{"models":[]}`)
	_, err = New(setup{}.options()).Load(at(url, "m"), nil)
	expect(t, "load", err, record.StatusError, "does not list it")

	// It never unloads.
	f.override["/api/ps"] = says(200, "application/json", `{"models":[{"name":"m:latest"}]}`)
	_, err = New(setup{}.options()).Load(at(url, "m"), nil)
	expect(t, "load", err, record.StatusTimeout, "still loaded")
	delete(f.override, "/api/ps")

	// It serves another file than the one that the native backend loads.
	other := at(url, "m")
	other.Ollama.SHA256 = strings.Repeat("c", 64)
	_, err = New(setup{}.options()).Load(other, nil)
	expect(t, "load", err, record.StatusError, "made of another file (SHA-256 bbbbbbbbbbbb...) than the native backend loads (cccccccccccc...)")

	// It does not say which file that is.
	f.override["/api/show"] = says(200, "application/json", `{"modelfile":"FROM llama\n","details":{},"model_info":{}}`)
	_, err = New(setup{}.options()).Load(other, nil)
	expect(t, "load", err, record.StatusError, "does not say which file its model is made of")
	if _, err = New(setup{}.options()).Load(at(url, "m"), nil); err != nil {
		t.Errorf("without a hash to compare with: %v", err)
	}

	// The model is for embeddings; one that is for more than text is for text.
	for list, refused := range map[string]bool{`["embedding"]`: true, `["embedding","tools"]`: true, `["completion","vision"]`: false, `[]`: false} {
		f.override["/api/show"] = says(200, "application/json", `{"details":{},"model_info":{},"capabilities":`+list+`}`)
		_, err = New(setup{}.options()).Load(at(url, "m"), nil)
		if refused {
			expect(t, "load", err, record.StatusError, "it writes no text, the server has it for [embedding")
		} else if err != nil {
			t.Errorf("capabilities %s: %v", list, err)
		}
	}
	delete(f.override, "/api/show")

	_, err = New(setup{}.options()).Load(spec, nil)
	expect(t, "load", err, record.StatusError, "no model of a server")
}

func TestGPULayers(t *testing.T) {
	for _, c := range []struct {
		device string
		native int
		want   int
	}{{config.DeviceCPU, config.AllLayers, 0}, {config.DeviceCUDA, config.AllLayers, 7}, {config.DeviceCUDA, config.FitLayers, -1}, {config.DeviceCUDA, 4, 4}, {config.DeviceCUDA, 0, 0}} {
		b := New(Options{})
		b.spec = protocol.LoadSpec{Device: c.device, GPULayers: c.native, Layers: 6}
		if got := b.gpuLayers(); got != c.want {
			t.Errorf("%s, %d layers: num_gpu %d; want %d", c.device, c.native, got, c.want)
		}
	}
}

func TestMeasure(t *testing.T) {
	f, url := newFake(t)
	b := load(t, url, setup{tokenize: wordTokens(false)})
	for i := range 3 {
		s, err := b.Measure(protocol.CallSpec{PromptTokens: 40, Seed: int64(i), GenTokens: 8})
		if err != nil {
			t.Fatal(err)
		}
		if *s.PrefillMS != 20 || *s.KVDecodeMS != 16 || *s.DecodeNoSampMS != 16 || *s.GenTokensRaw != 8 || *s.SeqLen != 40 || *s.Ollama.OllamaStepMS != 2 || *s.Ollama.OllamaLoadMS != 5 || *s.Ollama.OllamaTotalMS != 90 {
			t.Errorf("%+v %+v", s, s.Ollama)
		}
		if len(s.Invalid) > 0 || *s.Ollama.OllamaProjected || *s.Ollama.OllamaPromptTokens != 40 || *s.Ollama.OllamaSeen != 0 {
			t.Errorf("call %d: invalid %q, %+v; want a clean call", i, s.Invalid, s.Ollama)
		}
		if len(s.Ollama.OllamaPieceNS) != 9 || len(s.Ollama.OllamaInterTokenNS) != 8 || !slices.IsSorted(s.Ollama.OllamaPieceNS) || s.Ollama.OllamaPieceNS[0] <= 0 {
			t.Errorf("pieces at %v, gaps %v", s.Ollama.OllamaPieceNS, s.Ollama.OllamaInterTokenNS)
		}
		if *s.TTFTMS <= 0 || *s.E2EKVMS < *s.TTFTMS || *s.Ollama.OllamaWallMS < *s.E2EKVMS || s.Missing["token_ns"] == "" || s.OutputText != nil {
			t.Errorf("client times: ttft %v, e2e %v, wall %v", *s.TTFTMS, *s.E2EKVMS, *s.Ollama.OllamaWallMS)
		}
		if *s.PromptSeed != int64(i) || len(s.PromptTokenIDs) != 40 || s.PromptTokensHash == nil {
			t.Errorf("prompt's record: %+v", s.Measurement)
		}
	}
	if n := f.options[len(f.options)-1]["num_predict"]; n != 9.0 {
		t.Errorf("num_predict %v; want the 8 decode steps and the prompt's own token", n)
	}
	if len(f.prompts) != 3 || f.prompts[0] == f.prompts[1] || f.prompts[1] == f.prompts[2] {
		t.Errorf("prompts %q; want three different ones", f.prompts)
	}
}

// A prompt that the server has seen is flagged, by whatever shows it.
func TestCachedPromptIsInvalid(t *testing.T) {
	text := "one two three four five six seven eight nine ten"
	call := protocol.CallSpec{Prompt: &text, GenTokens: 4}
	long := text + strings.Repeat(" more", 30)
	for _, c := range []struct {
		name     string
		tokenize func(string) ([]int32, error)
		final    func(map[string]any)
		tokens   func(string) int
		first    *string // sent before the call
		want     string  // part of the reason; "": valid
	}{
		{name: "new"},
		{name: "new, own tokeniser", tokenize: wordTokens(false)},
		{name: "repeated, own tokeniser", tokenize: wordTokens(false), first: &text, want: "an earlier prompt of this load begins alike, so 9 of the prompt's 10 tokens"},
		{name: "extended, own tokeniser", tokenize: wordTokens(false), first: &long, want: "9 of the prompt's 10 tokens"},
		{name: "repeated, no tokeniser", first: &text, want: "begins as an earlier one"},
		{name: "extended, no tokeniser", first: &long, want: "begins as an earlier one"},
		{name: "the server reports it", final: func(m map[string]any) { m["prompt_eval_cached_count"] = 7 }, want: "the server says that 7 of the prompt's 10 tokens"},
		{name: "the server reports none", tokenize: wordTokens(false), first: &text, final: func(m map[string]any) { m["prompt_eval_cached_count"] = 0 }},
		{name: "fewer evaluated", tokenize: wordTokens(false), tokens: func(string) int { return 3 }, want: "evaluated 3 of the prompt's 10 tokens"},
		{name: "other tokens", tokenize: wordTokens(false), tokens: func(string) int { return 12 }, want: "the server counts 12 tokens of the prompt, the model's own tokeniser 10"},
		{name: "none counted", tokens: func(string) int { return 0 }, want: "counts no prompt tokens"},
		{name: "no time", final: func(m map[string]any) { m["prompt_eval_duration"] = 0 }, want: "no time for the prompt"},
		{name: "BOS alone, in a short prompt", tokenize: wordTokens(true), tokens: func(s string) int { return 1 + len(strings.Fields(s)) }, first: ptr("another"), want: "1 of the prompt's 11 tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, url := newFake(t)
			f.tokens = c.tokens
			b := load(t, url, setup{tokenize: c.tokenize})
			if c.first != nil {
				if _, err := b.Measure(protocol.CallSpec{Prompt: c.first, GenTokens: 4}); err != nil {
					t.Fatal(err)
				}
			}
			f.final = c.final
			s, err := b.Measure(call)
			if err != nil {
				t.Fatal(err)
			}
			if got := reasons(s); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("invalid: %q; want %q", got, c.want)
			}
			for _, mode := range []string{record.ModePrefill, record.ModeE2E} {
				if len(s.Invalid[mode]) > 0 != (c.want != "") || c.want != "" && !strings.HasPrefix(s.Invalid[mode][0], "prefill: ") {
					t.Errorf("%s: %q", mode, s.Invalid[mode])
				}
			}
			if len(s.Invalid[record.ModeDecode]) > 0 {
				t.Errorf("what the cache spares prefill has spoilt decode: %q", s.Invalid[record.ModeDecode])
			}
		})
	}

	t.Run("BOS alone, in a long prompt", func(t *testing.T) {
		f, url := newFake(t)
		f.tokens = func(s string) int { return 1 + len(strings.Fields(s)) }
		b := load(t, url, setup{tokenize: wordTokens(true)})
		for i := range 4 {
			s, err := b.Measure(protocol.CallSpec{PromptTokens: 64, Seed: int64(i), GenTokens: 2})
			if err != nil || len(s.Invalid) > 0 {
				t.Fatalf("%v %q; want a clean call", err, s.Invalid)
			}
			if i > 0 && (*s.Ollama.OllamaSeen != 1 || len(s.Ollama.OllamaNotes) == 0) {
				t.Errorf("call %d: cached at most %d, notes %q; want BOS to be noted", i, *s.Ollama.OllamaSeen, s.Ollama.OllamaNotes)
			}
		}
	})

	t.Run("a load forgets", func(t *testing.T) {
		_, url := newFake(t)
		b := load(t, url, setup{tokenize: wordTokens(false)})
		for range 2 {
			s, err := b.Measure(call)
			if err != nil || len(s.Invalid) > 0 {
				t.Fatalf("%v %q", err, s.Invalid)
			}
			if _, err := b.Load(at(url, "m"), nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// In a vocabulary of two first tokens every other draw begins like the prompt
// before it; the next prompt is drawn until it does not.
func TestPromptIsDrawnAgain(t *testing.T) {
	for seed := range int64(8) {
		_, url := newFake(t)
		b := load(t, url, setup{tokenize: func(text string) ([]int32, error) {
			var ids []int32
			for _, w := range strings.Fields(text) {
				ids = append(ids, int32(w[0]%2))
			}
			return ids, nil
		}})
		for i := range int64(2) {
			s, err := b.Measure(protocol.CallSpec{PromptTokens: 20, Seed: 2*seed + i, GenTokens: 2})
			if err != nil || *s.Ollama.OllamaSeen != 0 || len(s.Invalid) > 0 {
				t.Fatalf("seed %d, call %d: %v, %d tokens seen before, %q", seed, i, err, *s.Ollama.OllamaSeen, s.Invalid)
			}
		}
	}
}

func TestEarlyStop(t *testing.T) {
	f, url := newFake(t)
	b := load(t, url, setup{tokenize: wordTokens(false)})
	call := protocol.CallSpec{PromptTokens: 30, GenTokens: 20}
	slow := func(w http.ResponseWriter, _ *http.Request) { // 8 tokens, then EOS; tokens are 10 ms apart
		for i := range 8 {
			if i > 0 {
				time.Sleep(10 * time.Millisecond)
			}
			fmt.Fprint(w, chunk)
			w.(http.Flusher).Flush()
		}
		fmt.Fprintln(w, `{"done":true,"done_reason":"stop","prompt_eval_count":30,"prompt_eval_duration":1000000,"eval_count":9,"eval_duration":80000000}`)
	}
	f.generate = slow
	s, err := b.Measure(call)
	if err != nil {
		t.Fatal(err)
	}
	// TR121's projection: per step, times the target. The raw time stays what it is.
	if !*s.Ollama.OllamaProjected || *s.GenTokensRaw != 8 || *s.KVDecodeMS != 80 || *s.Ollama.OllamaStepMS != 10 || *s.Ollama.DecodeEquivMS != 200 || *s.Ollama.OllamaDoneReason != "stop" {
		t.Errorf("%+v", s.Ollama)
	}
	if want := *s.E2EKVMS + 130; math.Abs(*s.Ollama.E2EEquivMS-want) > 1e-6 {
		t.Errorf("e2e equivalent %v; want %v", *s.Ollama.E2EEquivMS, want)
	}
	if len(s.Ollama.OllamaInterTokenNS) != 7 || s.Ollama.OllamaAffineMS == nil || *s.Ollama.OllamaAffineMS < 100 || s.Ollama.OllamaProjectErrP == nil || len(s.Invalid) > 0 {
		t.Errorf("affine check: %v %v of %v, invalid %q", s.Ollama.OllamaAffineMS, s.Ollama.OllamaProjectErrP, s.Ollama.OllamaInterTokenNS, s.Invalid)
	}

	f.generate = nil
	f.pieces = func(int) []string { return []string{" a", " b"} }
	if s, err = b.Measure(call); err != nil || !*s.Ollama.OllamaProjected || s.Ollama.OllamaAffineMS != nil || !strings.Contains(strings.Join(s.Ollama.OllamaNotes, ";"), "could not be checked") {
		t.Errorf("two tokens: %v, %+v; want a projection without a check", err, s.Ollama)
	}
	// Tokens that are no characters: the server counts them, and sends no text.
	f.generate = says(200, "application/x-ndjson", `{"done":true,"done_reason":"length","prompt_eval_count":30,"prompt_eval_duration":1000000,"eval_count":21,"eval_duration":80000000}`+"\n")
	if s, err = b.Measure(call); err != nil || len(s.Invalid) != 1 || !strings.Contains(reasons(s), "e2e: the answer has no text") || *s.KVDecodeMS != 80 {
		t.Errorf("no text: %v, %q, %+v", err, s.Invalid, s.Ollama)
	}
	f.generate = nil
	f.pieces = func(int) []string { return nil }
	s, err = b.Measure(call)
	if err != nil || len(s.Invalid[record.ModeDecode]) == 0 || s.KVDecodeMS != nil || s.TTFTMS != nil || s.Missing["ttft_ms"] == "" {
		t.Errorf("EOS at once: %v, %+v %q; want no decode time", err, s.Ollama, s.Invalid)
	}
}

// A straight line through steps of 2 ms after one of 6: intercept and slope by
// hand, t_k = 4 + 2k.
func TestLine(t *testing.T) {
	a, slope, ok := line([]int64{6e6, 2e6, 2e6, 2e6, 2e6})
	if !ok || math.Abs(a-4e6) > 1 || math.Abs(slope-2e6) > 1 {
		t.Errorf("intercept %v, slope %v", a, slope)
	}
	if _, _, ok := line([]int64{1, 2, 3}); ok {
		t.Error("three steps make a line")
	}
}

func TestPiecesThatAreNoTokens(t *testing.T) {
	f, url := newFake(t)
	b := load(t, url, setup{tokenize: wordTokens(false)})
	f.pieces = func(n int) []string { return slices.Repeat([]string{" ab"}, n-2) }
	f.final = func(m map[string]any) {
		m["done_reason"], m["eval_count"], m["eval_duration"] = "length", 9, 16_000_000
	}
	s, err := b.Measure(protocol.CallSpec{PromptTokens: 30, GenTokens: 8})
	if err != nil || s.Ollama.OllamaInterTokenNS != nil || len(s.Ollama.OllamaPieceNS) != 7 || !strings.Contains(strings.Join(s.Ollama.OllamaNotes, ";"), "9 tokens arrived as 7 pieces") || s.TTFTMS == nil {
		t.Errorf("%v, %+v; want no times between tokens", err, s.Ollama)
	}
}

func TestRepeatLimit(t *testing.T) {
	f, url := newFake(t)
	b := load(t, url, setup{tokenize: wordTokens(false)})
	f.generate = says(200, "application/x-ndjson", strings.Repeat(chunk, 31))
	_, err := b.Measure(protocol.CallSpec{PromptTokens: 30, GenTokens: 64})
	expect(t, "measure", err, record.StatusError, "repeats one token more than 30 times")
}

func TestBanRepeats(t *testing.T) {
	f, url := newFake(t)
	f.tokens = func(s string) int { return len(strings.Fields(strings.ReplaceAll(s, "<|end|>", " <|end|>"))) }
	b := load(t, url, setup{tokenize: wordTokens(false), ban: true, eos: "<|end|>"})
	s, err := b.Measure(protocol.CallSpec{PromptTokens: 30, GenTokens: 32})
	if err != nil || len(s.Invalid) > 0 || *s.Ollama.OllamaPromptTokens != 30 || s.PromptTokensHash != nil {
		t.Errorf("%v, %q, %+v", err, s.Invalid, s.Ollama)
	}
	o := f.options[len(f.options)-1]
	if !strings.HasSuffix(f.prompts[0], "<|end|>") || o["presence_penalty"] != 1e6 || o["repeat_last_n"] != 256.0 {
		t.Errorf("prompt %q, options %v", f.prompts[0], o)
	}
	if !strings.Contains(strings.Join(s.Ollama.OllamaNotes, ";"), "repeats were banned") {
		t.Errorf("notes %q", s.Ollama.OllamaNotes)
	}
	// An answer that is too short to be cut is plain greedy text.
	if s, err = b.Measure(protocol.CallSpec{PromptTokens: 30, GenTokens: 20}); err != nil || len(s.Ollama.OllamaNotes) > 0 {
		t.Errorf("%v, notes %q", err, s.Ollama.OllamaNotes)
	}
	if o = f.options[len(f.options)-1]; strings.HasSuffix(f.prompts[1], "<|end|>") || o["presence_penalty"] != 0.0 {
		t.Errorf("prompt %q, options %v", f.prompts[1], o)
	}
	if !strings.Contains(strings.Join(b.server.OllamaDiffers, ";"), "may not repeat tokens") {
		t.Error("the ban is not named among what differs")
	}
}

func TestPromptsThatCannotBe(t *testing.T) {
	_, url := newFake(t)
	b := load(t, url, setup{})
	empty := ""
	if _, err := b.Measure(protocol.CallSpec{Prompt: &empty, GenTokens: 4}); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("empty prompt: %v", err)
	}
	if _, err := b.Measure(protocol.CallSpec{PromptTokens: 8, GenTokens: 4}); err == nil || !strings.Contains(err.Error(), "needs the model's tokeniser") {
		t.Errorf("no tokeniser: %v", err)
	}
}

func TestSameName(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"m", "m:latest", true}, {"M:Latest", "m", true}, {"m:7b", "m", false}, {"host:80/n/m", "host:80/n/m:latest", true}, {"", "", false}} {
		if got := sameName(c.a, c.b); got != c.want {
			t.Errorf("sameName(%q, %q) = %v", c.a, c.b, got)
		}
	}
}
