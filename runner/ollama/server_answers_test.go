//go:build native

package ollama

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"llmscale/gguf/synth"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// A repeated prompt is counted whole and evaluated in part.
func TestServerCachedPrompt(t *testing.T) {
	s := askServer(t)
	b := s.loaded(writeModel(t, smallLlama(t), 1), setUp{ban: true})
	_, offset := s.logged(0)
	text := func(n int, seed int64) string {
		text, err := PromptText(b.tokenizer.Tokenize, n, seed)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	say := func(text string) (protocol.Sample, *record.OllamaCall) {
		return measured(t, b, protocol.CallSpec{Prompt: &text, GenTokens: 2})
	}
	prompt := text(512, 1)
	say(text(512, 100)) // the first call of a load takes longer, for other reasons
	fresh, first := say(prompt)
	cached, second := say(prompt)
	_, longer := say(prompt + " and more")
	t.Logf("512 tokens: %.3f ms, the second time %.3f ms, as a longer prompt's beginning %.3f ms", *first.OllamaPromptEvalMS, *second.OllamaPromptEvalMS, *longer.OllamaPromptEvalMS)
	if len(fresh.Invalid) > 0 {
		t.Errorf("a fresh prompt: %v", fresh.Invalid)
	}
	for _, mode := range []string{record.ModePrefill, record.ModeE2E} {
		if len(cached.Invalid[mode]) == 0 {
			t.Errorf("the %s of a repeated prompt is not flagged", mode)
		}
	}
	if len(cached.Invalid[record.ModeDecode]) > 0 {
		t.Errorf("a repeated prompt spoils decoding: %v", cached.Invalid)
	}
	if *second.OllamaPromptEvalCount != 512 || *second.OllamaSeen != 512 || second.OllamaCached != nil {
		t.Errorf("of a repeated prompt %d tokens are counted, %d were seen, and the server says %v", *second.OllamaPromptEvalCount, *second.OllamaSeen, second.OllamaCached)
	}
	// One token instead of 512.
	if *second.OllamaPromptEvalMS > *first.OllamaPromptEvalMS/4 {
		t.Errorf("a repeated prompt took %.3f ms, a fresh one %.3f", *second.OllamaPromptEvalMS, *first.OllamaPromptEvalMS)
	}
	if used := s.cached(offset); used != nil && (len(used) != 4 || used[1] != 0 || used[2] != 511 || used[3] < 510 || used[3] > *longer.OllamaSeen) {
		t.Errorf("the server's log says that %v tokens were cached; a prompt that is cached whole is evaluated from its last token on", used)
	}
	// A seed that was used already gives a prompt that begins otherwise.
	for range 2 {
		if again, _ := measured(t, b, call(512, 2, 7)); len(again.Invalid) > 0 {
			t.Errorf("the same seed again: %v", again.Invalid)
		}
	}
}

var cacheLine = regexp.MustCompile(`msg="loading cache slot".* prompt=(\d+) used=(\d+) remaining=(\d+)`)

// cached returns, for each prompt since offset, how many tokens of it were in the
// cache. Only a server that logs at the level of OLLAMA_DEBUG=1 says so.
func (s *realServer) cached(offset int64) []int {
	s.t.Helper()
	lines, _ := s.logged(offset)
	var used []int
	for _, line := range lines {
		if m := cacheLine.FindStringSubmatch(line); m != nil {
			n, err := strconv.Atoi(m[2])
			if err != nil {
				s.t.Fatal(err)
			}
			used = append(used, n)
		}
	}
	return used
}

// What this package says may have been cached bounds what was. In a vocabulary of
// bytes most prompts begin like an earlier one.
func TestServerCacheBound(t *testing.T) {
	s := askServer(t)
	b := s.loaded(writeModel(t, smallLlama(t).WithVocab(synth.MinVocab), 1), setUp{})
	_, offset := s.logged(0)
	var bound []int
	for i := range int64(24) {
		_, timing := measured(t, b, call(16, 2, i))
		bound = append(bound, *timing.OllamaSeen)
	}
	used := s.cached(offset)
	if len(used) == 0 {
		t.Skip("the server does not log its cache: it runs without OLLAMA_DEBUG=1")
	}
	if len(used) != len(bound) {
		t.Fatalf("%d calls, and the log has %d", len(bound), len(used))
	}
	for i := range used {
		if used[i] > bound[i] {
			t.Errorf("call %d: %d tokens were cached; at most %d were thought to be", i, used[i], bound[i])
		}
	}
	t.Logf("cached %v, thought to be at most %v", used, bound)
}

// Random weights repeat one token for ever, and the server hangs up on that.
func TestServerRepeats(t *testing.T) {
	s := askServer(t)
	path := writeModel(t, smallLlama(t), 1)
	b := s.loaded(path, setUp{})
	const steps, seeds = 128, 24
	repeats := int64(-1)
	for seed := range int64(seeds) {
		sample, err := b.Measure(call(16, steps, seed))
		if err == nil && *sample.Ollama.OllamaEvalCount-1 == steps {
			continue
		}
		expect(t, "a repeating answer", err, record.StatusError, "repeats one token more than 30 times")
		t.Logf("seed %d: %v", seed, err)
		repeats = seed
		break
	}
	if repeats < 0 {
		t.Fatalf("none of %d answers ran into the server's limit of repeats", seeds)
	}
	// 31 tokens are too few for it.
	if _, timing := measured(t, b, call(16, repeatLimit, repeats)); *timing.OllamaEvalCount-1 != repeatLimit {
		t.Errorf("%d steps of %d", *timing.OllamaEvalCount-1, repeatLimit)
	}
	banned := s.loaded(path, setUp{ban: true, eos: endOfText})
	if _, timing := measured(t, banned, call(16, steps, repeats)); *timing.OllamaEvalCount-1 != steps || *timing.OllamaDoneReason != "length" {
		t.Errorf("repeats banned: %d steps (%s)", *timing.OllamaEvalCount-1, *timing.OllamaDoneReason)
	}
}

// With few tokens to choose from an answer meets the end-of-sequence token soon.
func TestServerEndOfSequence(t *testing.T) {
	s := askServer(t)
	path := writeModel(t, smallLlama(t).WithVocab(synth.MinVocab), 1)
	ending := s.loaded(path, setUp{ban: true})
	const target, seeds, enough = 128, 64, 2
	ended := map[int64]int{}
	for seed := range int64(seeds) {
		if len(ended) == enough {
			break
		}
		sample, timing := measured(t, ending, call(32, target, seed))
		if *timing.OllamaDoneReason != "stop" {
			continue
		}
		ended[seed] = *timing.OllamaEvalCount
		steps := *timing.OllamaEvalCount - 1
		if steps == 0 {
			if len(sample.Invalid[record.ModeDecode]) == 0 {
				t.Errorf("seed %d: an answer without a step is not flagged: %v", seed, sample.Invalid)
			}
			continue
		}
		if !*timing.OllamaProjected || *sample.GenTokensRaw != steps || *timing.DecodeEquivMS < *timing.OllamaEvalMS {
			t.Errorf("seed %d ended after %d steps: %+v", seed, steps, timing)
		}
		if timing.OllamaProjectErrP != nil {
			t.Logf("seed %d ended after %d steps: %.2f ms make %.2f, on a line %.2f (%.1f %%)", seed, steps, *timing.OllamaEvalMS, *timing.DecodeEquivMS, *timing.OllamaAffineMS, *timing.OllamaProjectErrP)
		}
	}
	if len(ended) == 0 {
		t.Skipf("these random weights ended none of %d answers", seeds)
	}
	going := s.loaded(path, setUp{ban: true, eos: endOfText})
	for seed := range ended {
		sample, timing := measured(t, going, call(32, target, seed))
		if *timing.OllamaEvalCount-1 != target || *timing.OllamaDoneReason != "length" || *timing.OllamaPromptEvalCount != 32 || len(sample.Invalid[record.ModeDecode]) > 0 {
			t.Errorf("seed %d, which ends after %d tokens: with the end banned it has %d (%s), a prompt of %d, %v",
				seed, ended[seed], *timing.OllamaEvalCount, *timing.OllamaDoneReason, *timing.OllamaPromptEvalCount, sample.Invalid)
		}
	}
	t.Logf("ended before %d steps: %v", target, ended)
}

// Neither a prompt that is too long nor a full context passes without a word.
func TestServerContextFull(t *testing.T) {
	s := askServer(t)
	b := s.loaded(writeModel(t, smallLlama(t), 1), setUp{nCtx: 64, ban: true})
	sample, timing := measured(t, b, call(48, 64, 1))
	t.Logf("48 tokens and %d steps of 64 in a context of 64 (%s): %v, notes %q", *timing.OllamaEvalCount-1, *timing.OllamaDoneReason, sample.Invalid, timing.OllamaNotes)
	if *timing.OllamaEvalCount-1 > 64-48 || !*timing.OllamaProjected || *timing.OllamaDoneReason != "length" {
		t.Errorf("%+v", timing)
	}
	_, err := b.Measure(call(80, 8, 2))
	expect(t, "a prompt of 80 tokens", err, record.StatusError, "the input length exceeds the context length")

	// What it does unless it is told not to.
	long, err := PromptText(b.tokenizer.Tokenize, 80, 3)
	if err != nil {
		t.Fatal(err)
	}
	req := b.request(long, 30)
	req.Truncate, req.Shift = nil, nil
	a, err := s.Generate(t.Context(), "generate", req, time.Minute, 30)
	if err != nil || a.Final == nil {
		t.Fatal(err)
	}
	if a.Final.PromptEvalCount != 64 || a.Final.EvalCount != 30 {
		t.Errorf("80 tokens and 30 more in a context of 64, by default: %d and %d", a.Final.PromptEvalCount, a.Final.EvalCount)
	}
}

// The same prompt in a fresh load gives the same text.
func TestServerGreedy(t *testing.T) {
	s := askServer(t)
	path := writeModel(t, smallLlama(t), 1)
	m := s.imported(path)
	b := backend("")
	defer b.Close()
	text := "the of and to in"
	var texts []string
	for range 2 {
		if _, err := b.Load(s.spec(path, m, setUp{}), nil); err != nil {
			t.Fatal(err)
		}
		sample, _ := measured(t, b, protocol.CallSpec{Prompt: &text, GenTokens: 24})
		texts = append(texts, *sample.OutputText)
	}
	if texts[0] != texts[1] || texts[0] == "" {
		t.Errorf("greedy answers %q", texts)
	}
	// The default penalty changes even greedy text.
	req := b.request(text, 25)
	delete(req.Options, "repeat_penalty")
	a, err := s.Generate(t.Context(), "generate", req, time.Minute, 25)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(a.Pieces, ""); got == texts[0] {
		t.Errorf("repeat_penalty 1 and the default both give %q", got)
	}
}

// Some architectures run on Ollama's other runner, which counts as the first one does
// and knows no penalties, so that repeats cannot be banned.
func TestServerOtherRunner(t *testing.T) {
	s := askServer(t)
	gemma, err := synth.Lookup("shape:gemma3-270m")
	if err != nil {
		t.Fatal(err)
	}
	path := writeModel(t, gemma.WithLayers(6).WithVocab(synth.LadderVocab), 1)
	_, offset := s.logged(0)
	b := s.loaded(path, setUp{})
	lines, _ := s.logged(offset)
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "runner --ollama-engine --model") }) {
		t.Skip("this server runs Gemma 3 on the llama.cpp runner")
	}
	for i, n := range []int{2, 64, 512} {
		sample, timing := measured(t, b, call(n, 16, int64(i)))
		if *timing.OllamaPromptEvalCount != n || *timing.OllamaEvalCount-1 != 16 || len(sample.Invalid) > 0 {
			t.Errorf("%d prompt tokens, 16 steps: %d, %d, %v", n, *timing.OllamaPromptEvalCount, *timing.OllamaEvalCount-1, sample.Invalid)
		}
		t.Logf("%d prompt tokens in %.3f ms, 16 steps of %.3f ms", n, *timing.OllamaPromptEvalMS, *timing.OllamaStepMS)
	}
	var texts []string
	for _, penalty := range []float64{0, 1e6} {
		req := b.request("the of and to in", 24)
		req.Options["presence_penalty"] = penalty
		a, err := s.Generate(t.Context(), "generate", req, time.Minute, 24)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.Join(a.Pieces, ""))
	}
	if texts[0] != texts[1] {
		t.Errorf("the other runner's answer %q becomes %q with a presence penalty: it heeds it, and repeats can be banned", texts[0], texts[1])
	}
}

// num_thread and num_batch are what the runner computes with.
func TestServerThreads(t *testing.T) {
	s := askServer(t)
	path := writeModel(t, smallLlama(t), 1)
	m := s.imported(path)
	for _, n := range []int{1, 2} {
		_, offset := s.logged(0)
		spec := s.spec(path, m, setUp{})
		spec.Threads, spec.ThreadsBatch, spec.NUBatch = n, n, 64*n
		b := backend("")
		if _, err := b.Load(spec, nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		lines, _ := s.logged(offset)
		for _, want := range []string{"NumThreads:" + strconv.Itoa(n) + " ", "BatchSize:" + strconv.Itoa(64*n) + " "} {
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "msg=load ") && strings.Contains(l, want) }) {
				t.Errorf("the server's log of a load with %d threads does not have %q", n, want)
			}
		}
	}
}

// A client that goes away ends its answer, and the next call is served.
func TestServerInterrupted(t *testing.T) {
	s := askServer(t)
	b := s.loaded(writeModel(t, smallLlama(t), 1), setUp{ban: true, eos: endOfText})
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(100*time.Millisecond, cancel).Stop()
	_, err := s.Client.Generate(ctx, "generate", b.request("the of and", 1000), time.Minute, 1000)
	if err == nil {
		t.Skip("1000 tokens took less than 100 ms here")
	}
	t.Log(err)
	if _, timing := measured(t, b, call(64, 8, 3)); *timing.OllamaEvalCount-1 != 8 {
		t.Errorf("the call after an interrupted one: %+v", timing)
	}
}
