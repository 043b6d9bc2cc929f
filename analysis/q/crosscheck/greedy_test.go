package crosscheck

import (
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

func TestGreedy(t *testing.T) {
	const bad = "\uFFFD"
	for _, tt := range []struct {
		name           string
		pieces         []string
		text           string // native's; "": the pieces
		ollama         []string
		notes          []string
		verdict        string
		compared, lost int
	}{
		{name: "equal", pieces: []string{" the", " cat", " sat"}, ollama: []string{" the", " cat", " sat"}, verdict: GreedyEqual, compared: 3},
		{name: "leading blank", pieces: []string{" the", " cat"}, ollama: []string{"the", " cat"}, verdict: GreedyEqual, compared: 2},
		{name: "leading blank of Ollama", pieces: []string{"the", " cat"}, ollama: []string{" the", " cat"}, verdict: GreedyEqual, compared: 2},
		{name: "third differs", pieces: []string{" the", " cat", " sat", " on"}, ollama: []string{" the", " cat", " ran", " on"}, verdict: GreedyDiffers, compared: 2},
		{name: "first differs", pieces: []string{"a", "b"}, ollama: []string{"x", "b"}, verdict: GreedyDiffers},
		{name: "a longer token", pieces: []string{"a", " the", " cat"}, ollama: []string{"a", " there", " cat"}, verdict: GreedyDiffers, compared: 2},
		{name: "a longer token behind a blank", pieces: []string{" a", " the", " cat"}, ollama: []string{"a", " there", " cat"}, verdict: GreedyDiffers, compared: 2},
		{name: "pieces are no tokens", pieces: []string{"a", " the", " cat"}, ollama: []string{"a there", " cat"}, verdict: GreedyDiffers, compared: 2},
		{name: "Ollama's ends", pieces: []string{"a", "b", "c"}, ollama: []string{"a", "b"}, verdict: GreedyEqual, compared: 2},
		{name: "Ollama's is longer", pieces: []string{"a", "b"}, ollama: []string{"a", "b", "c"}, verdict: GreedyEqual, compared: 2},
		{name: "a character of two tokens", pieces: []string{"a", bad, bad, "b"}, text: "a€b", ollama: []string{"a", "€", "b"}, verdict: GreedyEqual, compared: 4},
		{name: "a character of two tokens, and later another token", pieces: []string{"a", bad, bad, "b"}, text: "a€b", ollama: []string{"a", "€", "c"}, verdict: GreedyUnknown, compared: 1},
		{name: "Ollama drops what is no text", pieces: []string{"a", bad, "b", "c", "d", "e"}, ollama: []string{"a", "c", "d", "e", "f"}, verdict: GreedyEqual, compared: 6, lost: 2},
		{name: "it drops twice, and the last", pieces: []string{"a", bad, "b", bad, "c"}, ollama: []string{"a", "b", "c"}, verdict: GreedyEqual, compared: 5, lost: 2},
		{name: "dropped, and later another token", pieces: []string{"a", bad, "c", "d", "e", "f"}, ollama: []string{"a", "c", "d", "e", "x"}, verdict: GreedyDiffers, compared: 5, lost: 1},
		{name: "more is gone than can have waited", pieces: []string{"a", bad, "b", "c", "d", "e", "f", "g"}, ollama: []string{"a", "f", "g"}, verdict: GreedyUnknown, compared: 1},
		{name: "banned", pieces: []string{"a", "a"}, ollama: []string{"a", "b"}, notes: []string{"other", "repeats were banned: 64 tokens"}, verdict: GreedyNotComparable},
		{name: "no pieces", text: "ab", ollama: []string{"ac"}, verdict: GreedyUnknown},
		{name: "no pieces, equal", text: "ab", ollama: []string{"ab"}, verdict: GreedyEqual},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			if text == "" {
				text = strings.Join(tt.pieces, "")
			}
			native, ollama := new(runs.RowOf(record.Record{})), new(runs.RowOf(record.Record{}))
			native.OutputPieces, native.OutputText = tt.pieces, &text
			ollama.OutputPieces, ollama.OutputText, ollama.OllamaNotes = tt.ollama, new(strings.Join(tt.ollama, "")), tt.notes
			ollama.OllamaDiffers = []string{"sampling: repeats are banned by a presence penalty"} // of long answers alone
			var g Greedy
			g.compare(native, ollama)
			if g.Verdict != tt.verdict || g.Compared != tt.compared || g.Lost != tt.lost {
				t.Errorf("%+v", g)
			}
			if g.Verdict != GreedyEqual && g.Why == "" {
				t.Error("no reason")
			}
		})
	}
}

// TestGreedyRows: only prompts of text are compared, by their first answer.
func TestGreedyRows(t *testing.T) {
	p := celltest.ServedPlan
	p.Models = 1
	p.Scenarios = []celltest.ServedScenario{{Name: "short", Prompt: 9, Text: "Once upon a time"}, {Name: "p128", Prompt: 128, Text: ""}}
	rows := p.Rows()
	for i := range rows {
		r := &rows[i]
		r.OutputPieces, r.OutputText = []string{" there", " was"}, new(" there was")
		if r.BackendKind == cells.KindOllama {
			r.OutputPieces = nil
			if r.Rep != nil && *r.Rep == 3 {
				r.OutputText = new("there were")
			}
			if r.Mode != record.ModeDecode { // the prompt was cached, the text is none the worse
				r.Verdict, r.VerdictReasons = new(record.VerdictInvalid), []string{"prefill: cached"}
			}
		}
	}
	r := Ask(celltest.Set(t, rows))
	if len(r.Greedy) != 1 {
		t.Fatalf("%+v", r.Greedy)
	}
	if g := r.Greedy[0]; g.Scenario != "short" || g.Verdict != GreedyEqual || g.Compared != 2 {
		t.Errorf("%+v", g)
	}
}
