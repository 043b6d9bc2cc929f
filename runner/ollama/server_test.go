//go:build native

package ollama

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"llmscale/gguf/synth"
	native "llmscale/native/backend"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// The tests of this file ask a real server what doc.go says of it; the fakes of
// the others only repeat that. `make test-ollama` builds the server and starts it.
// Models are random weights, of which nothing is known but their size.

// realServer is the server that a test has for itself, until the next test.
type realServer struct {
	*Client
	t   *testing.T
	log string // its log's path; "" where nobody tells
}

func askServer(t *testing.T) *realServer {
	t.Helper()
	if os.Getenv("LLMSCALE_TEST_OLLAMA") != "1" || os.Getenv("OLLAMA_HOST") == "" {
		t.Skip("needs an Ollama server that is there for tests: make test-ollama")
	}
	c, err := NewClient("", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &realServer{Client: c, t: t, log: os.Getenv("LLMSCALE_OLLAMA_LOG")}
}

// smallLlama is 4.9M parameters: enough for a prompt to take time, little enough to
// write and load at once.
func smallLlama(t *testing.T) synth.Shape {
	t.Helper()
	rungs, err := synth.Rungs("llama", 0)
	if err != nil {
		t.Fatal(err)
	}
	return rungs[0]
}

// endOfText is the end-of-sequence token of every synthesised vocabulary.
const endOfText = "<|endoftext|>"

func writeModel(t *testing.T, shape synth.Shape, seed uint64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := synth.Write(path, shape, synth.Options{Type: "f32", Seed: seed}); err != nil {
		t.Fatal(err)
	}
	return path
}

// ownTokenizer is the one that the program uses, with a say in what it knows.
type ownTokenizer struct {
	Tokenizer
	eos string
}

func (o ownTokenizer) EOSText() string { return o.eos }

// backend has a tokeniser that knows eos as the end-of-sequence token, "" as none.
func backend(eos string) *Backend {
	return New(Options{OpenTokenizer: func(path string) (Tokenizer, error) {
		t, err := native.OpenTokenizer(path)
		return ownTokenizer{t, eos}, err
	}})
}

func (s *realServer) imported(path string) *Imported {
	s.t.Helper()
	m, err := Import(s.t.Context(), s.Client, path, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := m.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return m
}

// setUp is what the tests vary of a load.
type setUp struct {
	nCtx int // 0: 1024
	ban  bool
	eos  string
}

func (s *realServer) spec(path string, m *Imported, o setUp) protocol.LoadSpec {
	if o.nCtx == 0 {
		o.nCtx = 1024
	}
	// One thread: more would wait for each other for ever where other programs use the cores.
	return protocol.LoadSpec{ModelFile: path, Device: config.DeviceCPU, NCtx: o.nCtx, Threads: 1, ThreadsBatch: 1, Layers: 4, NBatch: 512, NUBatch: 512,
		KVType: "f16", Mmap: true, Ollama: &protocol.OllamaSpec{Model: m.Name, SHA256: m.SHA256, BanRepeats: o.ban}}
}

// loaded is a backend with the file at path loaded, as a model that is deleted when
// the test ends.
func (s *realServer) loaded(path string, o setUp) *Backend {
	s.t.Helper()
	b := backend(o.eos)
	spec := s.spec(path, s.imported(path), o)
	s.t.Cleanup(func() {
		if err := b.Close(); err != nil {
			s.t.Error(err)
		}
	})
	if _, err := b.Load(spec, nil); err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *realServer) models() []string {
	s.t.Helper()
	list, err := s.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	return names
}

func (s *realServer) has(digest string) bool {
	s.t.Helper()
	has, err := s.HasBlob(s.t.Context(), "sha256:"+digest)
	if err != nil {
		s.t.Fatal(err)
	}
	return has
}

// logged returns the lines that the server has logged since it had logged offset
// bytes, and how many it has by now.
func (s *realServer) logged(offset int64) (lines []string, size int64) {
	s.t.Helper()
	if s.log == "" {
		s.t.Skip("needs the server's log: LLMSCALE_OLLAMA_LOG names none")
	}
	f, err := os.Open(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(offset, 0); err != nil {
		s.t.Fatal(err)
	}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		lines = append(lines, in.Text())
		offset += int64(len(in.Bytes())) + 1
	}
	return lines, offset
}

func call(prompt, gen int, seed int64) protocol.CallSpec {
	return protocol.CallSpec{PromptTokens: prompt, GenTokens: gen, Seed: seed}
}

func measured(t *testing.T, b *Backend, c protocol.CallSpec) (protocol.Sample, *record.OllamaCall) {
	t.Helper()
	s, err := b.Measure(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, s.Ollama
}

func TestServerImport(t *testing.T) {
	s := askServer(t)
	one, other := writeModel(t, smallLlama(t), 1), writeModel(t, smallLlama(t), 2)
	first, again, foreign := s.imported(one), s.imported(one), s.imported(other)
	for _, m := range []*Imported{first, again, foreign} {
		if !slices.Contains(s.models(), m.Name) || !s.has(m.SHA256) {
			t.Fatalf("%s was imported; the server has %v, and its file: %v", m.Name, s.models(), s.has(m.SHA256))
		}
	}
	if first.Name == again.Name || first.SHA256 != again.SHA256 {
		t.Errorf("one file, imported twice: %s and %s", first.Name, again.Name)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.models(); slices.Contains(got, first.Name) || !slices.Contains(got, again.Name) || !slices.Contains(got, foreign.Name) {
		t.Errorf("after %s was deleted there is %v", first.Name, got)
	}
	if !s.has(again.SHA256) {
		t.Error("the file of a model that is left was deleted")
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if s.has(again.SHA256) {
		t.Error("the file of the last model that used it was not deleted")
	}
	if !s.has(foreign.SHA256) {
		t.Error("the other model's file was deleted")
	}
	if err := again.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// What an import that fails leaves behind.
func TestServerImportNoModel(t *testing.T) {
	s := askServer(t)
	before := s.models()
	path := filepath.Join(t.TempDir(), "no-model.gguf")
	if err := os.WriteFile(path, []byte("this is no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Import(t.Context(), s.Client, path, "")
	if err == nil {
		m.Close()
		t.Fatal("a file that is no model was imported")
	}
	t.Log(err)
	if got := s.models(); !slices.Equal(got, before) {
		t.Errorf("there were %v, and are %v", before, got)
	}
	sum, err := hashFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if !s.has(sum) {
		t.Error("the uploaded file is gone; Import says that it stays")
	}
	if _, err := Import(t.Context(), s.Client, path, strings.Repeat("0", 64)); err == nil {
		t.Error("a file was imported under another one's SHA-256")
	} else {
		t.Log(err)
	}
}

func TestServerLoad(t *testing.T) {
	s := askServer(t)
	path := writeModel(t, smallLlama(t), 1)
	m := s.imported(path)
	b := backend("")
	for _, ctx := range []int{1024, 512} {
		info, err := b.Load(s.spec(path, m, setUp{nCtx: ctx}), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := info.Ollama
		if info.NCtx != ctx || *got.OllamaWeights != m.SHA256 || *got.OllamaOffloadShare != 0 || len(*got.OllamaDigest) != 64 || got.OllamaQuantization != nil {
			t.Errorf("num_ctx %d: n_ctx %d, weights %s (want %s), offload %v, digest %s, quantization %v (the server knows none for f32)", ctx, info.NCtx, *got.OllamaWeights, m.SHA256, *got.OllamaOffloadShare, *got.OllamaDigest, got.OllamaQuantization)
		}
		t.Logf("version %s, num_ctx %d: loaded in %.0f ms, %d bytes", *got.OllamaVersion, ctx, info.ModelLoadMS, *got.OllamaLoadedBytes)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		running, err := s.Running(t.Context())
		if err != nil || len(running) != 0 {
			t.Errorf("after Close the server runs %v (%v)", running, err)
		}
	}
	// Over a load that was left, as by a worker that was killed.
	left := backend("")
	if _, err := left.Load(s.spec(path, m, setUp{}), nil); err != nil {
		t.Fatal(err)
	}
	next := backend("")
	defer next.Close()
	if info, err := next.Load(s.spec(path, m, setUp{nCtx: 256}), nil); err != nil || info.NCtx != 256 {
		t.Errorf("a load over one that was left: n_ctx %d (%v)", info.NCtx, err)
	}
	// Of another file than the one that the server was given.
	spec := s.spec(path, m, setUp{})
	spec.Ollama.SHA256 = strings.Repeat("0", 64)
	if _, err := backend("").Load(spec, nil); err == nil || !strings.Contains(err.Error(), "made of another file") {
		t.Errorf("another file's SHA-256: %v", err)
	}
}

func TestServerNoSuchModel(t *testing.T) {
	askServer(t)
	_, err := New(Options{}).Load(protocol.LoadSpec{Device: config.DeviceCPU, NCtx: 256, Ollama: &protocol.OllamaSpec{Model: "llmscale-no-such-model"}}, nil)
	expect(t, "load", err, record.StatusError, `has no model "llmscale-no-such-model"`)
}

func TestServerCounts(t *testing.T) {
	askServer(t)
	gpt2, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	for name, shape := range map[string]synth.Shape{"llama": smallLlama(t), "gpt2": gpt2} {
		t.Run(name, func(t *testing.T) {
			s := askServer(t)
			b := s.loaded(writeModel(t, shape, 1), setUp{ban: true, eos: endOfText})
			for i, n := range []int{2, 64, 512} {
				for _, steps := range []int{16, 64} { // the second with repeats banned
					sample, timing := measured(t, b, call(n, steps, int64(i)))
					if *timing.OllamaPromptEvalCount != n || *timing.OllamaEvalCount-1 != steps || *timing.OllamaDoneReason != "length" {
						t.Errorf("%d prompt tokens, %d steps: %d, %d, %s", n, steps, *timing.OllamaPromptEvalCount, *timing.OllamaEvalCount-1, *timing.OllamaDoneReason)
					}
					if len(sample.Invalid) > 0 || *timing.OllamaProjected || timing.OllamaCached != nil {
						t.Errorf("%d prompt tokens, %d steps: invalid %v, %+v", n, steps, sample.Invalid, timing)
					}
					// The client's clock runs around both of the server's.
					if *sample.E2EKVMS < *timing.OllamaPromptEvalMS+*timing.OllamaEvalMS-1 {
						t.Errorf("%d prompt tokens, %d steps: %.3f + %.3f ms by the server, %.3f by the client", n, steps, *timing.OllamaPromptEvalMS, *timing.OllamaEvalMS, *sample.E2EKVMS)
					}
					t.Logf("%d prompt tokens in %.3f ms, %d steps of %.3f ms; first token after %.3f ms, gap %.1f %%, load_duration %.3f ms",
						n, *timing.OllamaPromptEvalMS, steps, *timing.OllamaStepMS, *sample.TTFTMS, *sample.E2EGapPercent, *timing.OllamaLoadMS)
				}
			}
			// The first token takes no decode step: eval_count counts it, eval_duration does not.
			a, err := s.Generate(t.Context(), "generate", b.request("the of and", 1), time.Minute, 1)
			if err != nil || a.Final == nil {
				t.Fatal(err)
			}
			if m := a.Final.Metrics; m.EvalCount != 1 || m.EvalDuration != 0 || m.PromptEvalDuration == 0 {
				t.Errorf("an answer of one token: %+v", m)
			}
		})
	}
}
