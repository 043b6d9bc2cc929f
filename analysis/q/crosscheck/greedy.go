package crosscheck

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Verdicts on two greedy answers to one prompt.
const (
	GreedyEqual         = "equal"          // as far as both go
	GreedyDiffers       = "differs"        // behind the tokens compared
	GreedyNotComparable = "not_comparable" // Ollama's answer was no plain argmax
	GreedyUnknown       = "unknown"
)

// Greedy compares what a model answered to a text by the native backend and through
// Ollama: both choose the likeliest token each time.
type Greedy struct {
	Subject

	Verdict      string `json:"verdict" doc:"equal (as far as both go), differs, not_comparable or unknown"` // one of the Greedy constants
	Why          string `json:"why" doc:"what the verdict rests on"`
	NativeTokens int    `json:"native_tokens" unit:"tokens" doc:"tokens of native's answer"`
	Compared     int    `json:"tokens_compared" unit:"tokens" doc:"of them, from the beginning, in Ollama's text too"`
	Lost         int    `json:"tokens_lost" unit:"tokens" doc:"of these, tokens that Ollama left out of its text because they are no whole characters"`
}

// compareAnswers compares the answers to prompts of text.
func (a *Answer) compareAnswers(set *cells.Set, p *served, scenario string) {
	native := answered(set.RowsOf(p.native, p.n.Name, scenario, record.ModeDecode))
	ollama := answered(set.RowsOf(p.ollama, p.o.Name, scenario, record.ModeDecode))
	if native != nil && ollama != nil {
		g := Greedy{Subject: p.in(scenario)}
		g.compare(native, ollama)
		a.Greedy = append(a.Greedy, g)
	}
}

// answered is the first call of a text with an answer: greedy, so that the others say the same.
func answered(rows []*runs.Row) *runs.Row {
	for _, r := range rows {
		if r.Prompt != nil && r.OutputText != nil {
			return r
		}
	}
	return nil
}

func (g *Greedy) compare(native, ollama *runs.Row) {
	g.NativeTokens = len(native.OutputPieces)
	for _, note := range ollama.OllamaNotes {
		if strings.HasPrefix(note, record.RepeatsBanned) {
			g.Verdict, g.Why = GreedyNotComparable, note
			return
		}
	}
	if n, o := native.PromptTokensHash, ollama.PromptTokensHash; n != nil && o != nil && *n != *o {
		g.Verdict, g.Why = GreedyNotComparable, "the prompt's tokens are not the same"
		return
	}
	// The whole texts first: a character of several tokens stands in them, while
	// the pieces of it are no text.
	whole, text := sameStart([]string{*native.OutputText}, *ollama.OutputText)
	equal := whole[0] == text
	switch {
	case equal && g.NativeTokens > 0:
		g.Verdict, g.Compared = GreedyEqual, g.NativeTokens
		return
	case equal:
		g.Verdict, g.Why = GreedyEqual, "the whole texts are equal; native's tokens were not recorded one by one"
		return
	case g.NativeTokens == 0:
		g.Verdict, g.Why = GreedyUnknown, "native's tokens were not recorded one by one"
		return
	}
	g.walk(sameStart(native.OutputPieces, *ollama.OutputText))
	if g.Lost > 0 {
		g.Why = strings.TrimPrefix(g.Why+fmt.Sprintf("; Ollama's text leaves out %s that are no whole characters, and what was waiting for them", words.Counted(g.Lost, "token", "tokens")), "; ")
	}
}

// sameStart takes away one leading blank that only one side has: detokenisers
// differ in that, and it says nothing about the tokens.
func sameStart(pieces []string, text string) ([]string, string) {
	first := strings.Join(pieces, "")
	mine, theirs := strings.HasPrefix(first, " "), strings.HasPrefix(text, " ")
	switch {
	case mine == theirs:
		return pieces, text
	case theirs:
		return pieces, text[1:]
	}
	out := append([]string{}, pieces...)
	for i, p := range out {
		if p != "" {
			out[i] = strings.TrimPrefix(p, " ")
			break
		}
	}
	return out, text
}

// walk finds pieces one after the other in text.
func (g *Greedy) walk(pieces []string, text string) {
	g.Verdict = GreedyEqual
	for g.Compared < len(pieces) {
		p := pieces[g.Compared]
		switch lost := lostPieces(pieces[g.Compared:], text); {
		case strings.HasPrefix(text, p):
			g.Compared++
			text = text[len(p):]
		case text == "":
			g.Why = fmt.Sprintf("as far as Ollama's answer goes: it ended after %d of native's %d tokens", g.Compared, g.NativeTokens)
			return
		case lost > 0:
			g.Compared += lost
			g.Lost += lost
		case strings.ContainsRune(p, utf8.RuneError) || strings.HasPrefix(text, string(utf8.RuneError)):
			g.Verdict = GreedyUnknown
			g.Why = fmt.Sprintf("equal up to token %d, which is no whole character: from there on bytes and U+FFFD cannot be told apart", g.Compared)
			return
		default:
			g.Verdict, g.Why = GreedyDiffers, "the same text before, another token here"
			return
		}
	}
	if text != "" {
		g.Why = "as far as native's answer goes: Ollama's is longer"
	}
}

// lostPieces is how many pieces, if the first is no whole character, Ollama has left out of
// its text: it holds such a piece back, waits for what completes it, and
// drops what it holds from the first byte on that is no text. After them three pieces
// (or all up to the next that is no character) must stand there again; 0: they do not.
func lostPieces(pieces []string, rest string) int {
	const mostHeld, sure = 4, 3
	if !strings.ContainsRune(pieces[0], utf8.RuneError) {
		return 0
	}
	for lost := 1; lost <= min(mostHeld, len(pieces)-1); lost++ {
		next := pieces[lost:min(lost+sure, len(pieces))]
		if broken := slices.IndexFunc(next, func(p string) bool { return strings.ContainsRune(p, utf8.RuneError) }); broken >= 0 {
			next = next[:broken]
		}
		if len(next) > 0 && strings.HasPrefix(rest, strings.Join(next, "")) {
			return lost
		}
	}
	return 0
}
