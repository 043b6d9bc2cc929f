package ollama

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// timing is a call in the making of its record.OllamaCall. Milliseconds, unless a
// name says otherwise.
type timing struct {
	wallMS, headerMS, totalMS, loadMS float64
	promptEvalMS, evalMS              float64
	promptEvalCount, evalCount        int
	doneReason                        string

	promptTokens *int    // by the model's own tokeniser; nil without one
	cached       *int    // prompt tokens in the cache, as the server says; nil where it does not
	seen         *int    // prompt tokens that begin an earlier prompt of this load; nil without a tokeniser
	pieceNS      []int64 // when each piece of text arrived, since the request
	interTokenNS []int64 // one per decode step; nil where pieces are not tokens

	stepMS float64
	// An answer that ended early is scaled to the target in proportion, as TR121 did.
	// affineMS is the target's time on a line through the arrivals of this answer's
	// tokens, and the error how far proportion is from it; nil where it has too few.
	projected       bool
	target          int // decode steps
	decodeEquivMS   float64
	e2eEquivMS      *float64
	affineMS        *float64
	projectionError *float64 // percent

	notes []string
}

// record is the call as it goes on record.
func (t *timing) record() *record.OllamaCall {
	c := &record.OllamaCall{
		OllamaWallMS: &t.wallMS, OllamaHeaderMS: &t.headerMS, OllamaTotalMS: &t.totalMS, OllamaLoadMS: &t.loadMS, OllamaDoneReason: &t.doneReason,
		OllamaPromptEvalCount: &t.promptEvalCount, OllamaPromptEvalMS: &t.promptEvalMS, OllamaEvalCount: &t.evalCount, OllamaEvalMS: &t.evalMS,
		OllamaPromptTokens: t.promptTokens, OllamaCached: t.cached, OllamaSeen: t.seen, OllamaPieceNS: t.pieceNS, OllamaInterTokenNS: t.interTokenNS,
		OllamaProjected: &t.projected, E2EEquivMS: t.e2eEquivMS, OllamaAffineMS: t.affineMS, OllamaProjectErrP: t.projectionError, OllamaNotes: t.notes,
	}
	if t.evalCount > 1 {
		c.OllamaStepMS, c.DecodeEquivMS, c.GenTokensEquiv = &t.stepMS, &t.decodeEquivMS, &t.target
	}
	return c
}

const (
	// repeatLimit is how many equal pieces in a row the server lets pass
	// (llm/server.go#L1705).
	repeatLimit = 30
	// cachedShare is the part of a prompt above which cached BOS tokens spoil its time.
	cachedShare = 0.05
	// A call's load_duration is another load from this part of the first load's time on,
	// and from this time on: of a loaded model it is reading the metadata of the file,
	// which is a part of every load and takes some 100 ms with a large vocabulary.
	reloadShare, reloadMS = 0.75, 200
	// affineNeed is how many steps a line through them needs.
	affineNeed = 4
)

// Measure runs one call.
//
// As in TR121, prefill_ms is prompt_eval_duration and kv_decode_ms eval_duration.
// The latter holds no sampling, so it is decode_no_sampling_ms too. ttft_ms and
// e2e_kv_ms are the client's clock, from before the request to the first and the
// last token: e2e_gap_pct is then what HTTP, scheduling and sampling add.
func (b *Backend) Measure(call protocol.CallSpec) (_ protocol.Sample, err error) {
	defer func() { err = failure(err) }()
	if b.client == nil || !b.up {
		return protocol.Sample{}, errors.New("ollama: a call before a load")
	}
	// The first token comes from the prompt's logits; each decode step gives one more.
	tokens := call.GenTokens + 1
	var out protocol.Sample
	p, err := b.prompt(call, b.bans(tokens), &out)
	if err != nil {
		return protocol.Sample{}, err
	}
	// Whatever becomes of this call, the server may remember its prompt.
	p.common, p.repeated = b.common(p), b.sameText(p)
	b.seen = append(b.seen, p)
	op := "generate with " + b.served.Model
	a, err := b.client.Generate(context.Background(), op, b.request(p.text, tokens), b.client.limits.Call, tokens)
	if err != nil {
		return protocol.Sample{}, gone(err)
	}
	if err := complete(op, a, tokens); err != nil {
		return protocol.Sample{}, err
	}
	t := timing{target: call.GenTokens}
	t.fill(a)
	if b.bans(tokens) {
		t.note(record.RepeatsBanned + ": this is not the plain greedy answer")
	}
	b.judgePrompt(p, &t, &out)
	t.judgeAnswer(&out)
	if t.loadMS > max(reloadShare*b.loadMS, reloadMS) {
		out.Spoil(record.PrefillSpoilt, "load_duration is %.0f ms of the %.0f that the first load took: the server loaded the model again inside this call", t.loadMS, b.loadMS)
	}
	t.measurement(a, &out)
	if call.Prompt != nil {
		text := strings.Join(a.Pieces, "")
		out.OutputText, out.OutputPieces = &text, a.Pieces
	}
	out.Ollama = t.record()
	return out, nil
}

// complete refuses an answer without the counters of its final message.
func complete(op string, a *Answer, tokens int) error {
	sorry := func(format string, args ...any) error {
		return &Error{Op: op, Status: record.StatusError, Reason: fmt.Sprintf(format, args...)}
	}
	if a.Final == nil {
		if repeats(a.Pieces) >= repeatLimit {
			return sorry("the server hung up after %d pieces because the model repeats one token more than %d times: models of random weights do; ban_repeats avoids it", len(a.Pieces), repeatLimit)
		}
		return sorry("the stream ended after %d pieces without a final message, so without the server's counters", len(a.Pieces))
	}
	m := a.Final.Metrics
	switch {
	case m.EvalCount < 1 || m.EvalDuration < 0:
		return sorry("the final message counts %d tokens in %s", m.EvalCount, m.EvalDuration)
	case m.EvalCount > tokens:
		return sorry("the server sampled %d tokens, %d were asked for", m.EvalCount, tokens)
	case m.PromptEvalDuration < 0 || m.TotalDuration < 0 || m.LoadDuration < 0 || m.PromptEvalCount < 0:
		return sorry("the final message has negative figures")
	}
	return nil
}

// repeats counts the equal pieces at the end, as the server does: blanks around
// them do not count.
func repeats(pieces []string) int {
	n := 0
	for i := len(pieces) - 1; i > 0 && strings.TrimSpace(pieces[i]) == strings.TrimSpace(pieces[i-1]); i-- {
		n++
	}
	return n
}

func (t *timing) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *timing) fill(a *Answer) {
	m := a.Final.Metrics
	t.wallMS, t.headerMS = ms(a.WallNS), ms(a.HeaderNS)
	t.totalMS, t.loadMS = ms(m.TotalDuration.Nanoseconds()), ms(m.LoadDuration.Nanoseconds())
	t.promptEvalCount, t.promptEvalMS = m.PromptEvalCount, ms(m.PromptEvalDuration.Nanoseconds())
	t.evalCount, t.evalMS = m.EvalCount, ms(m.EvalDuration.Nanoseconds())
	t.doneReason, t.cached, t.pieceNS = a.Final.DoneReason, a.Cached, a.PieceNS
	if len(t.pieceNS) != t.sent() {
		t.note("%d tokens arrived as %d pieces of text (a token that is no whole character waits for the next): no times between tokens", t.sent(), len(t.pieceNS))
		return
	}
	for i := 1; i < len(t.pieceNS); i++ {
		t.interTokenNS = append(t.interTokenNS, t.pieceNS[i]-t.pieceNS[i-1])
	}
}

// sent counts the tokens that the server sends: an answer that a stop token ended has
// sampled one more.
func (t *timing) sent() int {
	if t.doneReason == "stop" {
		return t.evalCount - 1
	}
	return t.evalCount
}

// judgePrompt compares what was evaluated with what was sent.
func (b *Backend) judgePrompt(p prompt, t *timing, out *protocol.Sample) {
	invalid := func(format string, args ...any) { out.Spoil(record.PrefillSpoilt, format, args...) }
	n := t.promptEvalCount
	if p.ids != nil {
		n = len(p.ids) + p.extra
		t.promptTokens = &n
		t.seen = &p.common
	}
	switch {
	case t.promptEvalCount == 0:
		invalid("the server counts no prompt tokens, as some versions do where the prompt is cached")
	case t.promptEvalCount < n:
		invalid("the server evaluated %d of the prompt's %d tokens: the rest was cached or cut off", t.promptEvalCount, n)
	case t.promptEvalCount > n:
		invalid("the server counts %d tokens of the prompt, the model's own tokeniser %d: they do not evaluate the same work", t.promptEvalCount, n)
	}
	if t.promptEvalMS == 0 {
		invalid("the server gives no time for the prompt")
	}
	if p.ids == nil && p.repeated {
		out.Spoil(record.PromptCached, "the prompt's text begins as an earlier one of this load: its tokens were cached")
	}
	// At least one token is evaluated even of a prompt that is cached whole.
	cached, who := 0, "the server says that"
	if t.seen != nil {
		cached, who = min(*t.seen, n-1), "an earlier prompt of this load begins alike, so"
	}
	if t.cached != nil {
		cached, who = *t.cached, "the server says that"
	}
	switch {
	case cached <= 0:
	case cached > b.bos || float64(cached) > cachedShare*float64(n):
		out.Spoil(record.PromptCached, "%s %d of the prompt's %d tokens were cached and not evaluated", who, cached, n)
	default:
		t.note("%d of the prompt's %d tokens, what begins every prompt of this model, was cached", cached, n)
	}
}

// judgeAnswer handles answers that ended before the target.
func (t *timing) judgeAnswer(out *protocol.Sample) {
	steps, target := t.evalCount-1, t.target
	if steps > 0 {
		t.stepMS = t.evalMS / float64(steps)
	}
	t.decodeEquivMS = t.evalMS
	if steps >= target {
		return
	}
	if steps == 0 {
		out.Spoil(record.NoDecodeStep, "the answer ended with its first token (%s), so there is no decode step to time", t.doneReason)
		return
	}
	t.projected = true
	t.decodeEquivMS = t.stepMS * float64(target)
	t.note("the answer ended after %d of %d decode steps (%s): kv_decode_ms_equiv is scaled in proportion", steps, target, t.doneReason)
	if a, slope, ok := line(t.interTokenNS); ok {
		affine := (a + slope*float64(target)) / 1e6
		var sum int64
		for _, d := range t.interTokenNS {
			sum += d
		}
		proportional := ms(sum) / float64(len(t.interTokenNS)) * float64(target)
		t.affineMS = &affine
		if affine > 0 {
			t.projectionError = ptr(100 * (proportional - affine) / affine)
		}
	} else {
		t.note("the answer is too short, or its pieces are no tokens: the projection could not be checked against a line")
	}
}

// line fits the time of the k-th step's end, in ns, on k by least squares.
func line(gaps []int64) (intercept, slope float64, ok bool) {
	n := float64(len(gaps))
	if len(gaps) < affineNeed {
		return 0, 0, false
	}
	var at, sx, sy, sxx, sxy float64
	for i, gap := range gaps {
		at += float64(gap)
		x := float64(i + 1)
		sx, sy, sxx, sxy = sx+x, sy+at, sxx+x*x, sxy+x*at
	}
	slope = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return (sy - slope*sx) / n, slope, true
}

// measurement maps the call to the fields that all backends share.
func (t *timing) measurement(a *Answer, out *protocol.Sample) {
	steps := t.evalCount - 1
	one := 1
	out.BatchSize, out.GenTokensRaw = &one, &steps
	if t.promptEvalCount > 0 {
		out.PromptTokensRaw, out.SeqLen = ptr(t.promptEvalCount), ptr(t.promptEvalCount)
	}
	if t.promptEvalMS > 0 {
		out.PrefillMS = ptr(t.promptEvalMS)
	}
	if steps > 0 {
		out.KVDecodeMS, out.DecodeNoSampMS = ptr(t.evalMS), ptr(t.evalMS)
	}
	missing := map[string]string{
		"token_ns":          "Ollama gives one time for all decode steps; the times between tokens at the client are in ollama_inter_token_ns",
		"token_sampling_ns": "Ollama does not time sampling",
		"output_token_ids":  "Ollama's API gives text, not tokens",
		"logits_finite":     "Ollama's API gives no logits",
		"rss_peak_mib":      "the model is in the server's process",
		"cpu_time_ms":       "the model is in the server's process",
	}
	if n := len(t.pieceNS); n > 0 {
		e2e := ms(t.pieceNS[n-1])
		out.TTFTMS, out.E2EKVMS = ptr(ms(t.pieceNS[0])), &e2e
		if out.PrefillMS != nil && out.KVDecodeMS != nil && e2e > 0 {
			out.E2EGapPercent = ptr(100 * math.Abs(e2e-t.promptEvalMS-t.evalMS) / e2e)
		}
		// e2e ends with the last token that was sent, and the first one took no step.
		t.e2eEquivMS = ptr(e2e + t.stepMS*float64(t.target-(t.sent()-1)))
	} else {
		missing["ttft_ms"] = "the answer has no text: no token arrived to be timed"
		missing["e2e_kv_ms"] = missing["ttft_ms"]
		if len(out.Invalid[record.ModeE2E]) == 0 {
			out.Spoil(record.NoFirstToken, "%s", missing["ttft_ms"])
		}
	}
	if out.PromptTokensHash == nil {
		const why = "the ids are not known: there was no tokeniser, or the prompt ends in the end-of-text token's text"
		missing["prompt_token_ids"], missing["prompt_tokens_sha256"] = why, why
	}
	out.Missing = missing
}

// prompt is one that was sent.
type prompt struct {
	text  string
	ids   []int32 // of text without extra; nil without a tokeniser
	extra int     // tokens behind ids: the end-of-sequence token

	common   int  // tokens that it shares with the beginning of an earlier prompt
	repeated bool // its text, or an earlier one's, begins with the other
}

// drawsMax bounds the draws of a prompt that begins unlike all earlier ones. In a
// vocabulary of few tokens there is none some day; the verdict then says so.
const drawsMax = 16

// prompt makes the call's text. Where repeats are banned, a drawn prompt ends in the
// end-of-sequence token, if it has room for it: what stands in the prompt cannot be
// sampled then, so that the answer does not end early.
func (b *Backend) prompt(call protocol.CallSpec, ban bool, out *protocol.Sample) (prompt, error) {
	if call.Prompt != nil {
		if *call.Prompt == "" {
			return prompt{}, errors.New("ollama: the prompt is empty, which the API takes for a request to load the model; want text")
		}
		p := prompt{text: *call.Prompt}
		if b.tokenizer == nil {
			return p, nil
		}
		var err error
		p.ids, err = b.tokenize(p.text, out)
		b.recordPrompt(p, out)
		return p, err
	}
	if b.tokenizer == nil {
		return prompt{}, fmt.Errorf("ollama: a prompt of %d tokens needs the model's tokeniser, and there is none here; want a prompt of text", call.PromptTokens)
	}
	var best prompt
	eos := b.tokenizer.EOSText()
	extra := 0
	if ban && eos != "" && call.PromptTokens > b.bos+1 {
		extra = 1
	}
	for draw := range int64(drawsMax) {
		text, err := PromptText(b.tokenizer.Tokenize, call.PromptTokens-extra, call.Seed+draw<<53)
		if err != nil {
			return prompt{}, err
		}
		ids, err := b.tokenize(text, out)
		if err != nil {
			return prompt{}, err
		}
		p := prompt{text: text, ids: ids, extra: extra}
		if extra > 0 {
			p.text += eos
		}
		if best.ids == nil || b.common(p) < b.common(best) {
			best = p
		}
		if b.common(best) <= b.bos {
			break
		}
	}
	out.PromptSeed = &call.Seed
	b.recordPrompt(best, out)
	return best, nil
}

// tokenize times it too: the server does the same within its wall time.
func (b *Backend) tokenize(text string, out *protocol.Sample) ([]int32, error) {
	start := time.Now()
	ids, err := b.tokenizer.Tokenize(text)
	out.TokenizeMS = ptr(ms(time.Since(start).Nanoseconds()))
	return ids, err
}

// recordPrompt keeps the prompt's ids, unless the end-of-sequence token ends it, whose
// id is not known here.
func (b *Backend) recordPrompt(p prompt, out *protocol.Sample) {
	if p.extra == 0 {
		out.PromptTokenIDs, out.PromptTokensHash = protocol.RecordedIDs(p.ids, 1), ptr(protocol.HashIDs(p.ids))
	}
}

// common is the number of tokens that p and any earlier prompt of this load begin
// with. The server keeps the last prompt of each parallel sequence, and how many
// there are is not known: this is the most that can be cached.
func (b *Backend) common(p prompt) int {
	most := 0
	for _, q := range b.seen {
		n := 0
		for n < len(p.ids) && n < len(q.ids) && p.ids[n] == q.ids[n] {
			n++
		}
		most = max(most, n)
	}
	return most
}

// sameText stands in for common where there is no tokeniser.
func (b *Backend) sameText(p prompt) bool {
	for _, q := range b.seen {
		if strings.HasPrefix(p.text, q.text) || strings.HasPrefix(q.text, p.text) {
			return true
		}
	}
	return false
}
