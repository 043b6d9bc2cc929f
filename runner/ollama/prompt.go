package ollama

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// promptTries bounds the work of PromptText: texts that are tokenised.
const promptTries = 400

// PromptText returns a text that tokenize turns into exactly n tokens, different
// for every seed. tokenize must do what the server does with a raw prompt: add the
// tokens that the model wants around a text, such as BOS, which count too
// (runner/llamarunner/runner.go#L211; llama.cpp's llama_tokenize with add_special).
//
// The text is words, made-up words and letters. Tokens of neighbouring words can
// merge, so nothing is taken for granted: the text grows by what the last words
// took, and its end is made to fit by trial. A vocabulary that has no piece of one
// token for the end, or no place for a text beside the tokens around it, is an error.
func PromptText(tokenize func(string) ([]int32, error), n int, seed int64) (string, error) {
	around, err := tokenize("")
	if err != nil {
		return "", fmt.Errorf("ollama: tokenise: %w", err)
	}
	if n <= len(around) {
		return "", fmt.Errorf("ollama: no text has %d tokens in this vocabulary: %d are put around every text, and the API needs a text; want at least %d", n, len(around), len(around)+1)
	}
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	best := 0 // nearest count below n, for the error
	for tries := 0; tries < promptTries; {
		var pieces []string
		have := len(around)
		rate := 2.0 // tokens per word, corrected as it is seen
		for misses := 0; tries < promptTries && misses < 40; tries++ {
			room := n - have
			grown := append(pieces[:len(pieces):len(pieces)], draw(r, max(1, int(0.8*float64(room)/rate)), room, misses)...)
			ids, err := tokenize(strings.Join(grown, ""))
			if err != nil {
				return "", fmt.Errorf("ollama: tokenise: %w", err)
			}
			switch {
			case len(ids) == n:
				return strings.Join(grown, ""), nil
			case len(ids) > n || len(ids) <= have:
				misses++
				rate *= 1.5
			default:
				if added := len(grown) - len(pieces); added > 0 {
					rate = max(0.5, float64(len(ids)-have)/float64(added))
				}
				pieces, have, misses = grown, len(ids), 0
				best = max(best, have)
			}
		}
	}
	return "", fmt.Errorf("ollama: found no text of exactly %d tokens in this vocabulary in %d attempts (nearest below: %d): use a prompt of text, or another length", n, promptTries, best)
}

// draw returns count random pieces of text, each but the first of a prompt meant to
// follow another. Far from the goal they are words; near it, and after misses,
// they get shorter, down to single letters.
func draw(r *rand.Rand, count, room, misses int) []string {
	pieces := make([]string, count)
	for i := range pieces {
		switch k := r.IntN(10); {
		case room <= 2 && misses%2 == 1 || k == 0:
			pieces[i] = " " + letters(r, 1)
		case room <= 2 && misses%4 == 2:
			pieces[i] = letters(r, 1) // without a blank: the blank can be a token of its own
		case k <= 2 && room > 8:
			pieces[i] = " " + letters(r, 2+r.IntN(6))
		default:
			pieces[i] = " " + words[r.IntN(len(words))]
		}
	}
	return pieces
}

func letters(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return string(b)
}

// words are common English words, one token each in most vocabularies.
var words = strings.Fields(`the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you
were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some
could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years much
where your way down should because long each just state people those too how little good world make very year still see work men day get here old life
both between being under three never know same last another while us might great go come since against right came take used himself few house use place
during high without again home around small however found part school once general upon every water four night went face head while side number city
light sound river paper music table green stone field letter garden window summer winter market friend bridge silver`)
