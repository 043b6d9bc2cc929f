package synth

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// bpe is a plain second implementation of GPT-2's tokeniser, working from what the file holds (strings in GPT-2's
// alphabet), not from the builder's ids.
type bpe struct {
	ids   map[string]int
	ranks map[string]int
	text  []string
	enc   *[256]rune
	dec   map[rune]byte
}

func newBPE(v *vocab) *bpe {
	b := &bpe{map[string]int{}, map[string]int{}, v.tokens, alphabet(), map[rune]byte{}}
	for i, t := range v.tokens {
		b.ids[t] = i
	}
	for i, m := range v.merges {
		b.ranks[m] = i
	}
	for c, r := range b.enc {
		b.dec[r] = byte(c)
	}
	return b
}

// GPT-2's expression without its look-ahead \s+(?!\S), which Go's regexp lacks; split puts it back.
var pretoken = regexp.MustCompile(`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+`)

func split(s string) []string {
	var out []string
	for len(s) > 0 {
		loc := pretoken.FindStringIndex(s)
		piece := s[:loc[1]]
		if rest := s[loc[1]:]; strings.TrimSpace(piece) == "" && rest != "" && utf8.RuneCountInString(piece) > 1 {
			_, last := utf8.DecodeLastRuneInString(piece)
			piece = piece[:len(piece)-last] // the last space belongs to the word after it
		}
		out = append(out, piece)
		s = s[len(piece):]
	}
	return out
}

func (b *bpe) encodePiece(piece string) []int {
	var sym []string
	for i := range len(piece) {
		sym = append(sym, string(b.enc[piece[i]]))
	}
	for {
		best, at := len(b.ranks), -1
		for i := range len(sym) - 1 {
			if r, ok := b.ranks[sym[i]+" "+sym[i+1]]; ok && r < best {
				best, at = r, i
			}
		}
		if at < 0 {
			break
		}
		sym[at] += sym[at+1]
		sym = append(sym[:at+1], sym[at+2:]...)
	}
	ids := make([]int, len(sym))
	for i, s := range sym {
		id, ok := b.ids[s]
		if !ok {
			panic("a merge makes " + s + ", which is no token")
		}
		ids[i] = id
	}
	return ids
}

func (b *bpe) encode(s string) []int {
	var ids []int
	for _, p := range split(s) {
		ids = append(ids, b.encodePiece(p)...)
	}
	return ids
}

func (b *bpe) decode(ids []int) string {
	var out []byte
	for _, id := range ids {
		for _, r := range b.text[id] {
			out = append(out, b.dec[r])
		}
	}
	return string(out)
}

func (b *bpe) pieces(s string) string {
	var out []string
	for _, id := range b.encode(s) {
		out = append(out, b.decode([]int{id}))
	}
	return strings.Join(out, "|")
}

func TestVocabulary(t *testing.T) {
	v := vocabulary()
	if len(v.tokens) != 50257 || len(v.merges) != 50000 || len(v.types) != 50257 {
		t.Fatalf("%d tokens, %d merges, %d types", len(v.tokens), len(v.merges), len(v.types))
	}
	if v.tokens[50256] != "<|endoftext|>" || v.types[50256] != 3 {
		t.Errorf("last token %q of type %d", v.tokens[50256], v.types[50256])
	}
	seen := map[string]int{}
	for i, tok := range v.tokens {
		if at, dup := seen[tok]; dup {
			t.Errorf("tokens %d and %d are both %q", at, i, tok) // llama.cpp aborts on this
		}
		seen[tok] = i
		if tok == "" || strings.ContainsAny(tok, " \n\t\x00") || !utf8.ValidString(tok) {
			t.Errorf("token %d is %q", i, tok)
		}
	}
	for i, m := range v.merges {
		left, right, ok := strings.Cut(m, " ")
		l, okL := seen[left]
		r, okR := seen[right]
		if !ok || !okL || !okR || left+right != v.tokens[256+i] || l >= 256+i || r >= 256+i {
			t.Fatalf("merge %d %q does not make token %q from earlier ones", i, m, v.tokens[256+i])
		}
	}
	// GPT-2's published ids of single bytes: ! is 0, A is 32, ÿ is 187, byte 0 is 188, newline 198, space 220.
	for c, id := range map[byte]int{'!': 0, 'A': 32, 0xff: 187, 0: 188, '\n': 198, ' ': 220, 0xad: 255} {
		if got := v.tokens[id]; got != string(alphabet()[c]) {
			t.Errorf("token %d is %q, want byte %#x", id, got, c)
		}
	}
	if alphabet()[' '] != 'Ġ' || alphabet()['\n'] != 'Ċ' {
		t.Error("space and newline are not Ġ and Ċ")
	}
}

func TestPromptsTokeniseAsUnderGPT2(t *testing.T) {
	b := newBPE(vocabulary())
	for _, c := range []struct{ text, want string }{
		{"Hello", "Hello"},
		{"Summarize RLHF in one sentence.", "Sum|mar|ize| RL|HF| in| one| sentence|."},
		{"Explain how backpressure works in an inference service and when to enable queueing.",
			"Expl|ain| how| back|pressure| works| in| an| inference| service| and| when| to| enable| queue|ing|."},
	} {
		if got := b.pieces(c.text); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestEveryTokenIsReachable(t *testing.T) {
	b := newBPE(vocabulary())
	for id, tok := range vocabulary().tokens[:VocabSize-1] {
		if got := b.encodePiece(b.decode([]int{id})); len(got) != 1 || got[0] != id {
			t.Fatalf("token %d %q tokenises to %v", id, tok, got)
		}
	}
}

func TestAnyTextRoundTrips(t *testing.T) {
	b := newBPE(vocabulary())
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	texts := []string{string(all), "", " ", "  two  spaces\n\n", "naïve café, Привет, 日本語 🙂", "def f(x):\n    return x+1\n"}
	for range 300 {
		s := make([]byte, rng.IntN(200))
		for i := range s {
			s[i] = byte(rng.UintN(256))
		}
		texts = append(texts, string(s))
	}
	for _, s := range texts {
		if got := b.decode(b.encode(s)); !bytes.Equal([]byte(got), []byte(s)) {
			t.Fatalf("%q came back as %q", s, got)
		}
	}
	text := "The quick brown fox jumps over the lazy dog while the weather stays unbelievably pleasant."
	if n := len(b.encode(text)); n > len(text)/2 {
		t.Errorf("plain English takes %d tokens for %d bytes", n, len(text))
	}
}

func BenchmarkVocabulary(b *testing.B) {
	for b.Loop() {
		v := newBuilder()
		v.fill()
		v.vocab()
	}
}
