package synth

import (
	"fmt"
	"strings"
)

// LadderVocab is the number of tokens in a ladder's vocabulary unless another is asked for: so few that the
// embedding is a fifth of the smallest rung.
const LadderVocab = 4096

const ladderHead = 64 // elements of a head, at every size

// rungs of the ladder: the number of heads, from 4 to 70 in steps as even as whole numbers allow (a factor of 1.27,
// which is about 2 in parameters), and the size that it makes with LadderVocab.
var rungs = []struct {
	heads int64
	name  string
}{
	{4, "5m"}, {5, "9m"}, {6, "14m"}, {8, "32m"}, {10, "62m"}, {13, "134m"}, {17, "296m"}, {21, "556m"},
	{27, "1.2b"}, {34, "2.3b"}, {43, "4.7b"}, {55, "9.9b"}, {70, "20b"},
}

// Ladders lists the families that Rungs knows.
func Ladders() []string { return []string{"llama"} }

// Rungs returns the shapes of a ladder, smallest first: one architecture with fixed proportions, so that nothing
// but size differs between two of them. A rung of h heads has h layers, a width of 64h, as many key/value heads as
// heads, and a feed-forward of 3.5 times the width: depth and width grow together, in the proportion of GPT-2
// small (12 layers, 12 heads of 64), and 59,392*h³ + vocab*64h parameters follow, norms aside. The head is tied to
// the embedding. vocab is the number of tokens, 0 for LadderVocab.
func Rungs(family string, vocab int64) ([]Shape, error) {
	if family != "llama" {
		return nil, fmt.Errorf("synth: no ladder %q; there is %s", family, strings.Join(Ladders(), ", "))
	}
	if vocab == 0 {
		vocab = LadderVocab
	}
	out := make([]Shape, len(rungs))
	for i, r := range rungs {
		width := r.heads * ladderHead
		out[i] = Shape{Kind: "ladder", Name: family + "/" + r.name, Arch: "llama", NLayer: r.heads, NEmbd: width,
			NHead: r.heads, NHeadKV: r.heads, HeadDim: ladderHead, NFF: width * 7 / 2, NVocab: LadderVocab, NCtx: 8192,
			Tied: true, Rope: Rope{Base: 10_000}}.WithVocab(vocab)
		if err := out[i].check(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Between is the shape of a ladder's proportions that has about so many parameters: as many heads as come nearest,
// and the feed-forward widened or narrowed by steps of 32 to what is left. From 2 million on it is within 2 % of
// them; the shape's Params are what it has.
func Between(family string, params int64) (Shape, error) {
	ladder, err := Rungs(family, 0)
	if err != nil {
		return Shape{}, err
	}
	const fewest, most = 2_000_000, 200_000_000_000
	if params < fewest || params > most {
		return Shape{}, fmt.Errorf("synth: no shape of a ladder has %d parameters; want %dM to %dB", params, fewest/1_000_000, most/1_000_000_000)
	}
	of := func(heads int64) Shape {
		s := ladder[0]
		s.NLayer, s.NHead, s.NHeadKV, s.NEmbd = heads, heads, heads, heads*ladderHead
		s.NFF = s.NEmbd * 7 / 2
		return s
	}
	heads := int64(1)
	for of(heads+1).Params() <= params {
		heads++
	}
	if next := of(heads + 1); next.Params()-params < params-of(heads).Params() {
		heads++
	}
	s := of(heads)
	const step = 32                       // a block of the simplest types
	each := 3 * s.NEmbd * s.NLayer * step // a gate, up and down
	less := (params - s.Params()) * 2
	if less < 0 {
		less -= each
	} else {
		less += each
	}
	s.NFF += less / (2 * each) * step
	s.Name = fmt.Sprintf("%s/%d-parameters", family, s.Params())
	return s, s.check()
}
