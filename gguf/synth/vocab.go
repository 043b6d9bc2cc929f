package synth

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// VocabSize is GPT-2's: 256 bytes, 50,000 merges and the end of text.
const VocabSize = 256 + mergeCount + 1

const (
	mergeCount = 50000
	endOfText  = VocabSize - 1 // id of <|endoftext|>
)

// words is our own list of common English and technical words, the most useful first.
//
//go:embed words.txt
var words string

// pieces of words that GPT-2 splits, built before anything else.
var splitPieces = []string{"Sum", "mar", "ize", " RL", "HF", "Expl", "ain", " back", "pressure", " queue", "ing"}

// neverJoined are the neighbours in those words. They must not become one token, so that TR121's prompts have
// 1, 9 and 17 tokens as under GPT-2's own vocabulary:
//
//	Sum|mar|ize| RL|HF| in| one| sentence|.
//	Expl|ain| how| back|pressure| works| in| an| inference| service| and| when| to| enable| queue|ing|.
var neverJoined = [][2]string{
	{"Sum", "mar"}, {"mar", "ize"}, {" RL", "HF"}, {"Expl", "ain"}, {" back", "pressure"}, {" queue", "ing"},
}

// MinVocab and MaxVocab bound the vocabularies that can be made: the 256 bytes and the end of text at least.
const (
	MinVocab = 256 + 1
	MaxVocab = 1 << 20
)

// vocab is a vocabulary as a GGUF file holds it, in GPT-2's alphabet.
type vocab struct {
	tokens    []string
	types     []int32
	merges    []string // "left right", the one to apply first in front; merge i makes token 256+i
	endOfText uint32   // id of <|endoftext|>
}

// Token types of llama.cpp (enum llama_token_type).
const (
	normalToken  = 1
	controlToken = 3
	unusedToken  = 5
)

// vocabularyOf returns a vocabulary of n tokens, MinVocab to MaxVocab. A smaller one than GPT-2's has the first
// merges alone, which are those of the most useful words; a larger one ends in tokens that no text becomes. Callers
// only read it.
func vocabularyOf(n int64) *vocab {
	full := vocabulary()
	switch {
	case n == VocabSize:
		return full
	case n > VocabSize:
		tokens, types := larger.upTo(n)
		return &vocab{tokens: tokens, types: types, merges: full.merges, endOfText: endOfText}
	}
	v := &vocab{endOfText: uint32(n - 1), types: make([]int32, n)}
	merges := int(v.endOfText) - 256
	v.merges = full.merges[:merges]
	v.tokens = append(make([]string, 0, n), full.tokens[:256+merges]...)
	v.tokens = append(v.tokens, full.tokens[endOfText])
	for i := range v.types {
		v.types[i] = normalToken
	}
	v.types[v.endOfText] = controlToken
	return v
}

// larger is the largest vocabulary that was asked for. All that are larger than GPT-2's begin alike, so they share it:
// a list of shapes asks for many.
var larger longest

type longest struct {
	mu     sync.Mutex
	tokens []string
	types  []int32
}

// upTo returns the first n tokens, more than VocabSize.
func (l *longest) upTo(n int64) ([]string, []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int64(len(l.tokens)) < n {
		full := vocabulary()
		var text strings.Builder
		text.Grow(int(n-VocabSize) * len("<unused123456>"))
		ends, number := make([]int, 0, n-VocabSize), make([]byte, 0, 8)
		l.tokens = append(make([]string, 0, n), full.tokens...)
		l.types = append(make([]int32, 0, n), full.types...)
		for i := int64(VocabSize); i < n; i++ {
			text.WriteString("<unused")
			text.Write(strconv.AppendInt(number, i, 10))
			text.WriteByte('>')
			ends = append(ends, text.Len())
			l.types = append(l.types, unusedToken)
		}
		l.tokens = append(l.tokens, cut(text.String(), ends)...)
	}
	return l.tokens[:n:n], l.types[:n:n]
}

// vocabulary builds the vocabulary once in a process. Callers only read it.
var vocabulary = sync.OnceValue(func() *vocab {
	b := newBuilder()
	b.fill()
	if len(b.merges) != mergeCount || len(b.tokens) != VocabSize-1 {
		panic(fmt.Sprintf("synth: the vocabulary came out with %d merges and %d tokens", len(b.merges), len(b.tokens)))
	}
	return b.vocab()
})

// builder grows a byte-level BPE vocabulary. It adds a piece of text by tokenising it with what is there and
// joining the tokens from left to right, each join a merge of the next lower priority. Since later merges never
// come before earlier ones, a piece that has become one token stays one.
type builder struct {
	tokens    []string         // as raw bytes, by id
	bytes     [256]int32       // ids of the single bytes
	ids       map[string]int32 // by raw bytes
	merges    [][2]int32       // pairs of ids
	ranks     *pairTable       // pair to index into merges
	forbidden map[[2]string]bool
	scratch   []int32
}

func newBuilder() *builder {
	b := &builder{
		ids:       make(map[string]int32, VocabSize),
		ranks:     new(pairTable),
		tokens:    make([]string, 0, VocabSize),
		merges:    make([][2]int32, 0, mergeCount),
		forbidden: map[[2]string]bool{},
	}
	for _, c := range byteOrder() {
		s := string([]byte{c})
		b.bytes[c] = int32(len(b.tokens))
		b.ids[s] = b.bytes[c]
		b.tokens = append(b.tokens, s)
	}
	for _, p := range neverJoined {
		b.forbidden[p] = true
	}
	return b
}

// pairTable maps pairs of token ids to numbers. A Go map of them takes several times as long, and with it nearly half of
// the vocabulary's time.
type pairTable struct {
	pairs [tableSize]uint64 // 0: free
	ranks [tableSize]int32
}

const (
	tableBits = 17 // at most mergeCount of 131,072 places are taken
	tableSize = 1 << tableBits
)

// place returns a pair's key and where the search for it begins.
func place(left, right int32) (key uint64, at int) {
	key = uint64(left)<<32 | uint64(uint32(right)) + 1
	return key, int(key * 0x9e3779b97f4a7c15 >> (64 - tableBits)) // 2^64 over the golden ratio spreads keys that differ little
}

func (t *pairTable) get(left, right int32) (rank int32, ok bool) {
	key, at := place(left, right)
	for ; t.pairs[at] != 0; at = (at + 1) % tableSize {
		if t.pairs[at] == key {
			return t.ranks[at], true
		}
	}
	return 0, false
}

// put adds a pair that is not there.
func (t *pairTable) put(left, right, rank int32) {
	key, at := place(left, right)
	for t.pairs[at] != 0 {
		at = (at + 1) % tableSize
	}
	t.pairs[at], t.ranks[at] = key, rank
}

// encode tokenises a piece with the merges made so far. The result is valid until the next call.
func (b *builder) encode(piece string) []int32 {
	s := b.scratch[:0]
	for i := range len(piece) {
		s = append(s, b.bytes[piece[i]])
	}
	b.scratch = s
	for len(s) > 1 {
		best, at := int32(mergeCount), -1
		for i := range len(s) - 1 {
			if r, ok := b.ranks.get(s[i], s[i+1]); ok && r < best {
				best, at = r, i
			}
		}
		if at < 0 {
			break
		}
		s[at] = 256 + best
		s = append(s[:at+1], s[at+2:]...)
	}
	return s
}

// add makes the piece one token. It changes nothing if that would take a join that is forbidden or whose result
// is a token already, or more merges than are left.
func (b *builder) add(piece string) {
	if _, ok := b.ids[piece]; ok {
		return
	}
	s := b.encode(piece)
	if len(b.merges)+len(s)-1 > mergeCount {
		return
	}
	end := len(b.tokens[s[0]])
	for _, right := range s[1:] {
		left := piece[:end]
		end += len(b.tokens[right])
		if _, dup := b.ids[piece[:end]]; dup || b.forbidden[[2]string{left, b.tokens[right]}] {
			return
		}
	}
	left := s[0]
	end = len(b.tokens[left])
	for _, right := range s[1:] {
		end += len(b.tokens[right])
		id := int32(len(b.tokens))
		b.ranks.put(left, right, int32(len(b.merges)))
		b.merges = append(b.merges, [2]int32{left, right})
		b.tokens = append(b.tokens, piece[:end])
		b.ids[piece[:end]] = id
		left = id
	}
}

// fill adds pieces in the order of their use until all merges are made: the words, what stands between words,
// then the systematic rest, which makes words that are not in the list short too.
func (b *builder) fill() {
	for _, p := range splitPieces {
		b.add(p)
	}
	for w := range strings.FieldsSeq(words) {
		title := strings.ToUpper(w[:1]) + w[1:]
		for _, p := range []string{" " + w, w, " " + title, title} {
			b.add(p)
		}
	}
	for _, p := range strings.Fields(`'s 't 're 've 'm 'll 'd .. ... -- -> => == != <= >= && || :: // /* */ () [] {} (); "" '' ." ," ?" !" ). ), ); :// +=`) {
		b.add(p)
		b.add(" " + p)
	}
	for n := 2; n <= 16; n *= 2 {
		b.add(strings.Repeat(" ", n))
		b.add(strings.Repeat("\n", n))
		b.add(strings.Repeat("-", n))
		b.add(strings.Repeat("=", n))
	}
	for n := range 100 {
		b.add(fmt.Sprintf("%02d", n))
		b.add(fmt.Sprintf(" %d", n))
	}
	b.fillUTF8()

	const letters = "etaoinshrdlcumwfgypbvkjxqz" // by how often English uses them
	upper := strings.ToUpper(letters)
	buf := make([]byte, 0, 8)
	each := func(prefix string, sets ...string) {
		var walk func(depth int)
		buf = append(buf[:0], prefix...)
		walk = func(depth int) {
			if depth == len(sets) {
				b.add(string(buf))
				return
			}
			for i := range len(sets[depth]) {
				buf = append(buf, sets[depth][i])
				walk(depth + 1)
				buf = buf[:len(buf)-1]
			}
		}
		walk(0)
	}
	each(" ", letters)
	each(" ", upper)
	each("", letters, letters)
	each(" ", letters, letters)
	each("", upper, letters)
	each(" ", upper, letters)
	each("", upper, upper)
	each("", "123456789", "0123456789", "0123456789")
	each("", letters, letters, letters)
	each(" ", letters, letters, letters)
	each("", upper, letters, letters)
	each(" ", upper, letters, letters)
}

// fillUTF8 adds the letters of other alphabets, which are two or more bytes, and the common beginnings of
// three-byte characters.
func (b *builder) fillUTF8() {
	for _, r := range [][2]rune{{0xa0, 0x17f}, {0x391, 0x3c9}, {0x410, 0x44f}, {0x5d0, 0x5ea}, {0x627, 0x64a}, {0x2010, 0x2026}, {0x3041, 0x30fe}} {
		for c := r[0]; c <= r[1]; c++ {
			b.add(string(c))
		}
	}
	for lead := 0xe4; lead <= 0xed; lead++ {
		for next := 0x80; next < 0xc0; next++ {
			b.add(string([]byte{byte(lead), byte(next)}))
		}
	}
	b.add("\xf0\x9f")
}

// isPlain tells whether GPT-2's alphabet shows the byte as the Latin-1 character of its own number.
func isPlain(c int) bool {
	return '!' <= c && c <= '~' || 0xa1 <= c && c <= 0xac || 0xae <= c && c <= 0xff
}

// byteOrder lists the bytes in the order of their token ids: first those that are plain, then the others.
func byteOrder() []byte {
	order := make([]byte, 0, 256)
	for _, plain := range []bool{true, false} {
		for c := range 256 {
			if isPlain(c) == plain {
				order = append(order, byte(c))
			}
		}
	}
	return order
}

// alphabet is GPT-2's byte-to-unicode table: every byte as a character that is neither space nor control. Plain
// bytes stand for themselves, the others take the characters from U+0100 on in their order.
func alphabet() *[256]rune {
	t := new([256]rune)
	next := rune(0x100)
	for c := range 256 {
		if t[c] = rune(c); !isPlain(c) {
			t[c] = next
			next++
		}
	}
	return t
}

// vocab writes the tokens and merges in GPT-2's alphabet.
func (b *builder) vocab() *vocab {
	table := alphabet()
	// All tokens lie in one string and all merges in another: 100,000 small allocations would take longer than
	// the rest.
	var text strings.Builder
	ends := make([]int, len(b.tokens))
	for id, t := range b.tokens {
		for i := range len(t) {
			text.WriteRune(table[t[i]])
		}
		ends[id] = text.Len()
	}
	v := &vocab{tokens: cut(text.String(), ends)}

	text = strings.Builder{}
	ends = ends[:0]
	for _, m := range b.merges {
		text.WriteString(v.tokens[m[0]])
		text.WriteByte(' ')
		text.WriteString(v.tokens[m[1]])
		ends = append(ends, text.Len())
	}
	v.merges = cut(text.String(), ends)

	v.tokens = append(v.tokens, "<|endoftext|>")
	v.types = make([]int32, VocabSize)
	for i := range v.types {
		v.types[i] = normalToken
	}
	v.types[endOfText] = controlToken
	v.endOfText = endOfText
	return v
}

func cut(all string, ends []int) []string {
	out := make([]string, len(ends), len(ends)+1)
	start := 0
	for i, end := range ends {
		out[i] = all[start:end]
		start = end
	}
	return out
}
