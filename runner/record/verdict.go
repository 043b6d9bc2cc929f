package record

import (
	"fmt"
	"strings"
)

// Verdicts on one mode of one call. null is a call against which nothing was found.
const (
	VerdictValid     = "VALID"     // it was judged, and nothing speaks against its figures
	VerdictAmbiguous = "AMBIGUOUS" // something may have touched its figures: they count, and the doubt is told
	VerdictInvalid   = "INVALID"   // something spoilt its figures: they are on record and used for nothing
)

// OK reports whether the call was made and measured.
func (r *Outcome) OK() bool { return r.Status == StatusOK }

// Invalid reports whether something spoilt this mode of the call.
func (r *Outcome) Invalid() bool { return r.Verdict != nil && *r.Verdict == VerdictInvalid }

// Counts reports whether the call gave figures that may be used.
func (r *Outcome) Counts() bool { return r.OK() && !r.Invalid() }

// Reason is something that can spoil a call. A record has its text alone, by which ReasonOf knows it again.
type Reason struct {
	Code    string
	Begins  string   // how its text begins
	Holds   string   // what else its text holds, "" for nothing
	Modes   []string // that it spoils
	Lasting bool     // a call that is made again has it too, so that --resume makes none
	Advice  string   // what to do about it
}

var reasons []*Reason

func declare(r Reason) *Reason {
	reasons = append(reasons, &r)
	return &r
}

// What can spoil a call, in the order in which a text is compared with it.
var (
	WrongResults = declare(Reason{
		Code: "wrong_results", Begins: "self-check: ", Modes: Modes, Lasting: true,
		Advice: "use no figure of this build for this model: build against another llama.cpp (LLAMA_CPP_DIR), or without the CPU's newest instructions, AMX among them (PORTABLE=1), and start a new run; --resume does not make these calls again",
	})
	PromptCached = declare(Reason{
		Code: "prompt_cached", Begins: "prefill: ", Holds: "were cached", Modes: []string{ModePrefill, ModeE2E},
		Advice: "give the scenario prompt_tokens in place of a prompt, so that each call has a prompt of its own, or read its decode rows only, which count; --resume does not make calls again of which a mode counts",
	})
	PrefillSpoilt = declare(Reason{
		Code: "prefill_spoilt", Begins: "prefill: ", Modes: []string{ModePrefill, ModeE2E},
		Advice: "read the decode rows of this scenario only: its prefill and end-to-end times are not those of the prompt's work; --resume does not make calls again of which a mode counts",
	})
	NoDecodeStep = declare(Reason{
		Code: "no_decode_step", Begins: "decode: ", Modes: []string{ModeDecode, ModeE2E},
		Advice: "take another prompt: the model ended its answer before a token was decoded",
	})
	NoFirstToken = declare(Reason{
		Code: "no_first_token", Begins: "e2e: ", Modes: []string{ModeE2E},
		Advice: "read prefill and decode of this scenario, which count: the answer has no text, so that no token's arrival could be timed; --resume does not make calls again of which a mode counts",
	})
	OtherProgram = declare(Reason{
		Code: "other_program", Begins: "another program uses the GPU: ", Modes: Modes,
		Advice: "end what disturbed them (the reasons name it), or choose another GPU with CUDA_VISIBLE_DEVICES, and go on with --resume, which makes these calls again",
	})
)

// Disturbed is what a text tells that begins like none of the others, as one of another version may.
var Disturbed = &Reason{Code: "disturbed", Modes: Modes, Advice: OtherProgram.Advice}

// ReasonOf is the reason that a text of a record's verdict_reasons gives.
func ReasonOf(text string) *Reason {
	for _, r := range reasons {
		if strings.HasPrefix(text, r.Begins) && strings.Contains(text, r.Holds) {
			return r
		}
	}
	return Disturbed
}

// Text is the reason with what was seen, as verdict_reasons has it.
func (r *Reason) Text(format string, args ...any) string {
	text := r.Begins + fmt.Sprintf(format, args...)
	if ReasonOf(text) != r {
		panic("record: " + text + " is no text of " + r.Code)
	}
	return text
}

// willBeSpoiltAgain reports whether the call, if it is made again, has the same verdict for the same reason.
func (r *Outcome) willBeSpoiltAgain() bool {
	for _, text := range r.VerdictReasons {
		if ReasonOf(text).Lasting {
			return true
		}
	}
	return false
}
