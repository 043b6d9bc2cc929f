package ollama

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func byteTokens(text string) ([]int32, error) {
	var ids []int32
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids, nil
}

// piecewise tokenises by a regular expression: each match is a token, a word that
// is known one, an unknown one as many as it has pairs of letters. That is the
// form of a byte-pair vocabulary of whole words.
func piecewise(known []string, around int) func(string) ([]int32, error) {
	split := regexp.MustCompile(` ?[a-z]+`)
	return func(text string) ([]int32, error) {
		ids := make([]int32, around)
		for _, w := range split.FindAllString(text, -1) {
			if slices.Contains(known, strings.TrimSpace(w)) {
				ids = append(ids, int32(1+slices.Index(known, strings.TrimSpace(w))))
				continue
			}
			for i := 0; i < len(w); i += 2 {
				var id int32
				for _, b := range []byte(w[i:min(i+2, len(w))]) {
					id = id<<8 + int32(b)
				}
				ids = append(ids, id)
			}
		}
		return ids, nil
	}
}

func TestPromptText(t *testing.T) {
	for _, v := range []struct {
		name     string
		tokenize func(string) ([]int32, error)
		least    int
	}{
		{"words", wordTokens(false), 1},
		{"words after BOS", wordTokens(true), 2},
		{"bytes", byteTokens, 1},
		{"pairs", piecewise(words, 0), 1},
		{"pairs, few words", piecewise(words[:5], 0), 1},
		{"pairs between BOS and EOS", piecewise(words, 2), 3},
	} {
		t.Run(v.name, func(t *testing.T) {
			for _, n := range []int{v.least, v.least + 1, v.least + 2, 16, 17, 64, 100, 511, 512, 1024, 4096} {
				seen := map[string]bool{}
				for seed := range int64(5) {
					text, err := PromptText(v.tokenize, n, seed)
					if err != nil {
						t.Fatalf("%d tokens, seed %d: %v", n, seed, err)
					}
					if ids, _ := v.tokenize(text); len(ids) != n || text == "" {
						t.Fatalf("%d tokens, seed %d: %q has %d", n, seed, text, len(ids))
					}
					same, _ := PromptText(v.tokenize, n, seed)
					if same != text {
						t.Fatalf("seed %d gives %q and %q", seed, text, same)
					}
					seen[text] = true
				}
				if n >= 16 && len(seen) != 5 {
					t.Errorf("%d tokens: %d different texts of 5 seeds", n, len(seen))
				}
			}
			if _, err := PromptText(v.tokenize, v.least-1, 1); err == nil || !strings.Contains(err.Error(), "want at least") {
				t.Errorf("%d tokens: %v; want an error that names the least", v.least-1, err)
			}
		})
	}
}

func TestPromptTextImpossible(t *testing.T) {
	calls := 0
	pairs := func(text string) ([]int32, error) { calls++; return make([]int32, 2*len(strings.Fields(text))), nil }
	if text, err := PromptText(pairs, 65, 1); err == nil || !strings.Contains(err.Error(), "no text of exactly 65 tokens") || !strings.Contains(err.Error(), "nearest below: 64") {
		t.Errorf("an odd count of an even vocabulary: %q, %v", text, err)
	}
	if calls > promptTries+1 {
		t.Errorf("%d texts were tokenised", calls)
	}
	broken := errors.New("broken")
	if _, err := PromptText(func(string) ([]int32, error) { return nil, broken }, 5, 1); !errors.Is(err, broken) {
		t.Errorf("%v; want the tokeniser's error", err)
	}
	after := 0
	late := func(text string) ([]int32, error) {
		if after++; after > 2 {
			return nil, broken
		}
		return byteTokens(text)
	}
	if _, err := PromptText(late, 500, 1); !errors.Is(err, broken) {
		t.Errorf("%v; want the tokeniser's error", err)
	}
	if _, err := PromptText(func(string) ([]int32, error) { return nil, nil }, 5, 1); err == nil {
		t.Error("a vocabulary without tokens gave a prompt")
	}
}
