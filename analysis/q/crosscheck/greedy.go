package crosscheck

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"llmscale/analysis/runs"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Verdicts on two greedy answers to one prompt.
const (
	GreedyEqual         = "equal"          // as far as both go
	GreedyDiffers       = "differs"        // at FirstDiffering
	GreedyNotComparable = "not_comparable" // Ollama's answer was no plain argmax
	GreedyUnknown       = "unknown"
)

// Greedy compares what a model answered to a text by the native backend and through
// Ollama: both choose the likeliest token each time.
type Greedy struct {
	Subject

	Verdict        string `json:"verdict" doc:"equal (as far as both go), differs, not_comparable or unknown"` // one of the Greedy constants
	Why            string `json:"why" doc:"what the verdict rests on"`
	NativeTokens   int    `json:"native_tokens" unit:"tokens" doc:"tokens of native's answer"`
	Compared       int    `json:"tokens_compared" unit:"tokens" doc:"of them, from the beginning, in Ollama's text too"`
	Lost           int    `json:"tokens_lost" unit:"tokens" doc:"of these, tokens that Ollama left out of its text because they are no whole characters"`
	FirstDiffering *int   `json:"first_differing_token" doc:"index of the first one that is not, from 0"`
	NativeText     string `json:"native_text_there"`
	OllamaText     string `json:"ollama_text_there"`
	NativeAnswers  int    `json:"native_answers" doc:"different answers of native over the calls"` // 1 where each call gave the same
	OllamaAnswers  int    `json:"ollama_answers" doc:"different answers of Ollama over the calls"`
}

// compareAnswers compares the answers to prompts of text.
func (a *asker) compareAnswers(p *served, scenario string) {
	native := answered(a.RowsOf(p.native, p.n.Name, scenario, record.ModeDecode))
	ollama := answered(a.RowsOf(p.ollama, p.o.Name, scenario, record.ModeDecode))
	if len(native) == 0 || len(ollama) == 0 {
		return
	}
	g := Greedy{Subject: p.in(scenario), NativeAnswers: answers(native), OllamaAnswers: answers(ollama)}
	g.compare(native[0], ollama[0])
	a.out.Greedy = append(a.out.Greedy, g)
}

// answered are the calls of a text with an answer.
func answered(rows []*runs.Row) (out []*runs.Row) {
	for _, r := range rows {
		if r.Prompt != nil && r.OutputText != nil {
			out = append(out, r)
		}
	}
	return out
}

// answers counts different answers.
func answers(rows []*runs.Row) int {
	seen := map[string]bool{}
	for _, r := range rows {
		seen[*r.OutputText] = true
	}
	return len(seen)
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
	if g.NativeTokens == 0 {
		g.Verdict, g.Why = GreedyUnknown, "native's tokens were not recorded one by one"
		if equalText(*native.OutputText, *ollama.OutputText) {
			g.Verdict, g.Why = GreedyEqual, "the whole texts are equal; "+g.Why
		}
		return
	}
	// The whole texts first: a character of several tokens stands in them, while
	// the pieces of it are no text.
	if equalText(*native.OutputText, *ollama.OutputText) {
		g.Verdict, g.Compared = GreedyEqual, g.NativeTokens
		return
	}
	pieces, text := sameStart(native.OutputPieces, *ollama.OutputText)
	w := walk(pieces, text)
	g.Compared, g.Lost = w.compared, w.lost
	switch w.end {
	case walkDiffers:
		taken := len(*ollama.OutputText) - len(text) // the blank
		start, there := pieceAt(ollama, taken+w.at)
		for start < taken+w.at && g.Compared > 0 { // the token of which the text differs began there
			g.Compared--
			w.at -= len(pieces[g.Compared])
		}
		g.Verdict = GreedyDiffers
		g.FirstDiffering = new(g.Compared)
		g.NativeText, g.OllamaText = pieces[g.Compared], there
		g.Why = "the same tokens before, another one here"
	case walkUnclear:
		g.Verdict = GreedyUnknown
		g.Why = fmt.Sprintf("equal up to token %d, which is no whole character: from there on bytes and U+FFFD cannot be told apart", w.compared)
	case walkTextEnds:
		g.Verdict = GreedyEqual
		g.Why = fmt.Sprintf("as far as Ollama's answer goes: it ended after %d of native's %d tokens", w.compared, g.NativeTokens)
	default:
		g.Verdict = GreedyEqual
		if w.at < len(text) {
			g.Why = "as far as native's answer goes: Ollama's is longer"
		}
	}
	if g.Lost > 0 {
		g.Why = strings.TrimPrefix(g.Why+fmt.Sprintf("; Ollama's text leaves out %s that are no whole characters, and what was waiting for them", words.Counted(g.Lost, "token", "tokens")), "; ")
	}
}

// equalText compares answers but for one leading blank.
func equalText(x, y string) bool {
	_, y2 := sameStart([]string{x}, y)
	x2, _ := sameStart([]string{x}, y)
	return x2[0] == y2
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

// How a walk ended.
const (
	walkWhole    = iota // all pieces stand in the text
	walkTextEnds        // the text is at its end
	walkDiffers
	walkUnclear // a piece is part of a character
)

type walked struct {
	compared int // pieces walked over, from the first
	lost     int // of these, pieces that the text leaves out
	at       int // bytes of the text that the others are
	end      int
}

// walk finds pieces one after the other in text.
func walk(pieces []string, text string) walked {
	var w walked
	for w.compared < len(pieces) {
		p, rest := pieces[w.compared], text[w.at:]
		switch {
		case strings.HasPrefix(rest, p):
			w.compared++
			w.at += len(p)
		case rest == "":
			w.end = walkTextEnds
			return w
		case strings.ContainsRune(p, utf8.RuneError):
			lost := lostPieces(pieces[w.compared:], rest)
			if lost == 0 {
				w.end = walkUnclear
				return w
			}
			w.compared += lost
			w.lost += lost
		case strings.HasPrefix(rest, string(utf8.RuneError)):
			w.end = walkUnclear
			return w
		default:
			w.end = walkDiffers
			return w
		}
	}
	return w
}

// lostPieces is how many pieces, the first of which is no whole character, Ollama has
// left out of its text: it holds such a piece back, waits for what completes it, and
// drops what it holds from the first byte on that is no text. After them three pieces
// (or all up to the next that is no character) must stand there again; 0: they do not.
func lostPieces(pieces []string, rest string) int {
	const mostHeld, sure = 4, 3
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

// pieceAt is the token of Ollama's answer that holds byte at, and where it begins;
// where pieces are not tokens, a few characters from there.
func pieceAt(r *runs.Row, at int) (start int, piece string) {
	text := *r.OutputText
	if len(r.OllamaInterTokenNS) > 0 && strings.Join(r.OutputPieces, "") == text {
		for _, p := range r.OutputPieces {
			if start+len(p) > at {
				return start, p
			}
			start += len(p)
		}
	}
	const shown = 12
	runes := []rune(text[at:])
	return at, string(runes[:min(shown, len(runes))])
}
