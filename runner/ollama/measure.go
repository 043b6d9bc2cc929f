// SPDX-License-Identifier: MIT

package ollama

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"llmscale/runner"
	"llmscale/runner/record"
)

// Timing is what a call through the API tells beside a record.Measurement.
// Milliseconds, unless a name says otherwise. Server counters carry Ollama's names.
type Timing struct {
	WallMS     float64 `json:"ollama_wall_ms"`           // client: from before the request to the end of the stream
	FirstMS    float64 `json:"ollama_header_ms"`         // client: to the head of the answer, which comes with the first token
	TotalMS    float64 `json:"ollama_total_duration_ms"` // server: total_duration
	LoadMS     float64 `json:"ollama_load_ms"`           // server: load_duration; scheduling where the model is loaded already
	DoneReason string  `json:"ollama_done_reason"`

	PromptEvalCount int     `json:"ollama_prompt_eval_count"` // tokens of the prompt, cached ones included
	PromptEvalMS    float64 `json:"ollama_prompt_eval_ms"`    // of those that were not cached
	EvalCount       int     `json:"ollama_eval_count"`        // tokens sampled, EOS included
	EvalMS          float64 `json:"ollama_eval_ms"`           // of the decode steps: EvalCount - 1

	PromptTokens   *int    `json:"prompt_tokens"`          // by the model's own tokeniser; nil without one
	CachedTokens   *int    `json:"ollama_cached_tokens"`   // prompt tokens in the cache, as the server says; nil where it does not
	CachedAtMost   *int    `json:"prompt_tokens_seen"`     // prompt tokens that begin an earlier prompt of this load; nil without a tokeniser
	PrefillInvalid bool    `json:"ollama_prefill_invalid"` // the reasons are in Sample.Invalid, beginning with "prefill: "
	DecodeInvalid  bool    `json:"ollama_decode_invalid"`  // likewise, "decode: "
	PieceNS        []int64 `json:"ollama_piece_ns"`        // client: when each piece of text arrived, since the request; a piece may be several tokens

	// One per decode step, by the client's clock: the time between two tokens, with
	// sampling, scheduling and HTTP. nil where pieces are not tokens.
	InterTokenNS []int64 `json:"ollama_inter_token_ns"`

	StepMS float64 `json:"kv_decode_ms_per_token"` // EvalMS over the decode steps
	// An answer that ended early is scaled to the target in proportion, as TR121 did.
	// AffineMS is the target's time on a line through the arrivals of this answer's
	// tokens, and the error how far proportion is from it; nil where it has too few.
	Projected       bool     `json:"ollama_projected"`
	DecodeEquivMS   float64  `json:"kv_decode_ms_equiv"`
	E2EEquivMS      float64  `json:"e2e_kv_ms_equiv"`
	AffineMS        *float64 `json:"ollama_affine_ms"`
	ProjectionError *float64 `json:"ollama_projection_error_pct"`

	Notes []string `json:"ollama_notes,omitempty"` // what is worth knowing and spoils nothing
}

const (
	// repeatLimit is how many equal pieces in a row the server lets pass
	// (llm/server.go#L1705).
	repeatLimit = 30
	// cachedShare is the part of a prompt above which cached BOS tokens spoil its time.
	cachedShare = 0.05
	// affineNeed is how many steps a line through them needs.
	affineNeed = 4
)

// Measure runs one call; see MeasureTimed.
func (b *Backend) Measure(call runner.CallSpec) (runner.Sample, error) {
	s, _, err := b.MeasureTimed(call)
	return s, err
}

// MeasureTimed runs one call and returns also what the record has no fields for.
//
// As in TR121, prefill_ms is prompt_eval_duration and kv_decode_ms eval_duration.
// The latter holds no sampling, so it is decode_no_sampling_ms too. ttft_ms and
// e2e_kv_ms are the client's clock, from before the request to the first and the
// last token: e2e_gap_pct is then what HTTP, scheduling and sampling add.
func (b *Backend) MeasureTimed(call runner.CallSpec) (_ runner.Sample, _ Timing, err error) {
	defer func() { err = failure(err) }()
	if b.client == nil || !b.up {
		return runner.Sample{}, Timing{}, errors.New("ollama: a call before a load")
	}
	var out runner.Sample
	var t Timing
	p, err := b.prompt(call, &out)
	if err != nil {
		return runner.Sample{}, Timing{}, err
	}
	// Whatever becomes of this call, the server may remember its prompt.
	p.common, p.repeated = b.common(p), b.sameText(p)
	b.seen = append(b.seen, p)
	// The first token comes from the prompt's logits; each decode step gives one more.
	tokens := call.GenTokens + 1
	op := "generate with " + b.opts.Model
	a, err := b.client.Generate(context.Background(), op, b.request(p.text, tokens), b.client.limits.Call, tokens)
	if err != nil {
		return runner.Sample{}, Timing{}, err
	}
	if err := complete(op, a, tokens); err != nil {
		return runner.Sample{}, Timing{}, err
	}
	t.fill(a)
	b.judgePrompt(p, &t, &out)
	t.judgeAnswer(call.GenTokens, &out)
	if t.LoadMS > b.loadMS/2 && t.LoadMS > 1000 {
		t.note("load_duration is %.0f ms: the server loaded the model again inside this call; its wall time and TTFT hold that", t.LoadMS)
	}
	t.measurement(a, &out)
	return out, t, nil
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

func (t *Timing) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

func (t *Timing) fill(a *Answer) {
	m := a.Final.Metrics
	t.WallMS, t.FirstMS = ms(a.WallNS), ms(a.HeaderNS)
	t.TotalMS, t.LoadMS = ms(m.TotalDuration.Nanoseconds()), ms(m.LoadDuration.Nanoseconds())
	t.PromptEvalCount, t.PromptEvalMS = m.PromptEvalCount, ms(m.PromptEvalDuration.Nanoseconds())
	t.EvalCount, t.EvalMS = m.EvalCount, ms(m.EvalDuration.Nanoseconds())
	t.DoneReason, t.CachedTokens, t.PieceNS = a.Final.DoneReason, a.Cached, a.PieceNS
	// An answer that a stop token ended has sampled one token that it does not send.
	sent := t.EvalCount
	if t.DoneReason == "stop" {
		sent--
	}
	if len(t.PieceNS) != sent {
		t.note("%d tokens arrived as %d pieces of text (a token that is no whole character waits for the next): no times between tokens", sent, len(t.PieceNS))
		return
	}
	for i := 1; i < len(t.PieceNS); i++ {
		t.InterTokenNS = append(t.InterTokenNS, t.PieceNS[i]-t.PieceNS[i-1])
	}
}

// judgePrompt compares what was evaluated with what was sent.
func (b *Backend) judgePrompt(p prompt, t *Timing, out *runner.Sample) {
	invalid := func(format string, args ...any) {
		out.Invalid = append(out.Invalid, "prefill: "+fmt.Sprintf(format, args...))
		t.PrefillInvalid = true
	}
	n := t.PromptEvalCount
	if p.ids != nil {
		n = len(p.ids) + p.extra
		t.PromptTokens = &n
		t.CachedAtMost = &p.common
	}
	switch {
	case t.PromptEvalCount == 0:
		invalid("the server counts no prompt tokens, as some versions do where the prompt is cached")
	case t.PromptEvalCount < n:
		invalid("the server evaluated %d of the prompt's %d tokens: the rest was cached or cut off", t.PromptEvalCount, n)
	case t.PromptEvalCount > n:
		invalid("the server counts %d tokens of the prompt, the model's own tokeniser %d: they do not evaluate the same work", t.PromptEvalCount, n)
	}
	if t.PromptEvalMS == 0 {
		invalid("the server gives no time for the prompt")
	}
	if p.ids == nil && p.repeated {
		invalid("the prompt's text begins as an earlier one of this load: its tokens were cached")
	}
	// At least one token is evaluated even of a prompt that is cached whole.
	cached, who := 0, "the server says that"
	if t.CachedAtMost != nil {
		cached, who = min(*t.CachedAtMost, n-1), "an earlier prompt of this load begins alike, so"
	}
	if t.CachedTokens != nil {
		cached, who = *t.CachedTokens, "the server says that"
	}
	switch {
	case cached <= 0:
	case cached > b.bos || float64(cached) > cachedShare*float64(n):
		invalid("%s %d of the prompt's %d tokens were cached and not evaluated", who, cached, n)
	default:
		t.note("%d of the prompt's %d tokens, what begins every prompt of this model, was cached", cached, n)
	}
}

// judgeAnswer handles answers that ended before the target.
func (t *Timing) judgeAnswer(target int, out *runner.Sample) {
	steps := t.EvalCount - 1
	if steps > 0 {
		t.StepMS = t.EvalMS / float64(steps)
	}
	t.DecodeEquivMS = t.EvalMS
	if steps >= target {
		return
	}
	if steps == 0 {
		out.Invalid = append(out.Invalid, fmt.Sprintf("decode: the answer ended with its first token (%s), so there is no decode step to time", t.DoneReason))
		t.DecodeInvalid = true
		return
	}
	t.Projected = true
	t.DecodeEquivMS = t.StepMS * float64(target)
	t.note("the answer ended after %d of %d decode steps (%s): kv_decode_ms_equiv is scaled in proportion", steps, target, t.DoneReason)
	if a, slope, ok := line(t.InterTokenNS); ok {
		affine := (a + slope*float64(target)) / 1e6
		var sum int64
		for _, d := range t.InterTokenNS {
			sum += d
		}
		proportional := ms(sum) / float64(len(t.InterTokenNS)) * float64(target)
		t.AffineMS = &affine
		if affine > 0 {
			t.ProjectionError = ptr(100 * (proportional - affine) / affine)
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
func (t *Timing) measurement(a *Answer, out *runner.Sample) {
	steps := t.EvalCount - 1
	one := 1
	out.BatchSize, out.GenTokensRaw = &one, &steps
	if t.PromptEvalCount > 0 {
		out.PromptTokensRaw, out.SeqLen = ptr(t.PromptEvalCount), ptr(t.PromptEvalCount)
	}
	if t.PromptEvalMS > 0 {
		out.PrefillMS = ptr(t.PromptEvalMS)
	}
	if steps > 0 {
		out.KVDecodeMS, out.DecodeNoSampMS = ptr(t.EvalMS), ptr(t.EvalMS)
	}
	missing := map[string]string{
		"token_ns":          "Ollama gives one time for all decode steps; the times between tokens at the client are in ollama_inter_token_ns",
		"token_sampling_ns": "Ollama does not time sampling",
		"output_token_ids":  "Ollama's API gives text, not tokens",
		"logits_finite":     "Ollama's API gives no logits",
		"rss_peak_mib":      "the model is in the server's process",
		"cpu_time_ms":       "the model is in the server's process",
	}
	if n := len(t.PieceNS); n > 0 {
		e2e := ms(t.PieceNS[n-1])
		out.TTFTMS, out.E2EKVMS = ptr(ms(t.PieceNS[0])), &e2e
		if out.PrefillMS != nil && out.KVDecodeMS != nil && e2e > 0 {
			out.E2EGapPercent = ptr(100 * math.Abs(e2e-t.PromptEvalMS-t.EvalMS) / e2e)
		}
		t.E2EEquivMS = e2e + t.DecodeEquivMS - t.EvalMS
	} else {
		missing["ttft_ms"] = "the answer has no text: no token arrived to be timed"
		missing["e2e_kv_ms"] = missing["ttft_ms"]
	}
	text := strings.Join(a.Pieces, "")
	out.OutputText = &text
	out.Missing = missing
}

// prompt is one that was sent.
type prompt struct {
	text  string
	ids   []int32 // of text without extra; nil without a tokeniser
	extra int     // tokens behind ids: EOSText

	common   int  // tokens that it shares with the beginning of an earlier prompt
	repeated bool // its text, or an earlier one's, begins with the other
}

// drawsMax bounds the draws of a prompt that begins unlike all earlier ones. In a
// vocabulary of few tokens there is none some day; the verdict then says so.
const drawsMax = 16

// prompt makes the call's text.
func (b *Backend) prompt(call runner.CallSpec, out *runner.Sample) (prompt, error) {
	if call.Prompt != nil {
		if *call.Prompt == "" {
			return prompt{}, errors.New("ollama: the prompt is empty, which the API takes for a request to load the model; want text")
		}
		p := prompt{text: *call.Prompt}
		if b.opts.Tokenize == nil {
			return p, nil
		}
		start := time.Now()
		ids, err := b.opts.Tokenize(p.text)
		out.TokenizeMS = ptr(ms(time.Since(start).Nanoseconds()))
		p.ids = ids
		b.recordPrompt(p, out)
		return p, err
	}
	if b.opts.Tokenize == nil {
		return prompt{}, fmt.Errorf("ollama: a prompt of %d tokens needs the model's tokeniser, and there is none here; want a prompt of text", call.PromptTokens)
	}
	var best prompt
	extra := 0
	if b.opts.BanRepeats && b.opts.EOSText != "" {
		extra = 1
	}
	for draw := range int64(drawsMax) {
		text, err := PromptText(b.opts.Tokenize, call.PromptTokens-extra, call.Seed+draw<<53)
		if err != nil {
			return prompt{}, err
		}
		ids, err := b.opts.Tokenize(text)
		if err != nil {
			return prompt{}, err
		}
		p := prompt{text: text, ids: ids, extra: extra}
		if extra > 0 {
			p.text += b.opts.EOSText
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

// recordPrompt keeps the prompt's ids, unless EOSText ends it, whose id is not known.
func (b *Backend) recordPrompt(p prompt, out *runner.Sample) {
	if p.extra == 0 {
		out.PromptTokenIDs, out.PromptTokensHash = runner.RecordedIDs(p.ids), ptr(runner.HashIDs(p.ids))
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
