//go:build native

package native

// #include "llmscale_shim.h"
import "C"

import (
	"fmt"
	"time"
)

// rows puts sequences of one length behind one another.
func rows(what string, sequences [][]int32) ([]int32, error) {
	var flat []int32
	for i, s := range sequences {
		if len(s) != len(sequences[0]) {
			return nil, &Error{Op: "measure", Message: fmt.Sprintf("%s of %d tokens in sequence 0 and of %d in sequence %d: want one length", what, len(sequences[0]), len(s), i)}
		}
		flat = append(flat, s...)
	}
	return flat, nil
}

// spread is at most n of the sequences 0 to all - 1, the last and the first of them first.
func spread(all, n int) []int {
	if all == 1 {
		return []int{0}
	}
	out := []int{all - 1, 0}
	for i := 1; len(out) < min(n, all); i++ {
		out = append(out, i*(all-1)/(min(n, all)-1))
	}
	return out
}

// BatchCheck decodes all sequences, of one length, as a batch, and up to 8 of them alone, at most `most` and as many as fit into half of the budget:
// the first `prompt` tokens of each as a prompt, the others step by step. No sequence is compared where the batch would take
// more than the budget. It is not timed, and leaves the KV cache empty.
func (c *Context) BatchCheck(sequences [][]int32, prompt, most int, budget time.Duration) (BatchCheck, error) {
	return c.batchCheck(sequences, sequences, prompt, most, budget)
}

// batchCheck compares a batch with sequences alone; that they are others is for tests.
func (c *Context) batchCheck(sequences, alone [][]int32, prompt, most int, budget time.Duration) (BatchCheck, error) {
	flat, err := rows("texts", sequences)
	if err != nil {
		return BatchCheck{}, err
	}
	n := len(flat) / max(1, len(sequences))
	steps := n - prompt
	if prompt < 1 || steps < 1 {
		return BatchCheck{}, &Error{Op: "self-check", Message: fmt.Sprintf("texts of %d tokens, %d of them prompts: want at least one of each kind", n, prompt)}
	}
	answer := func(tokens []int32, which []int32) (chosen []int32, logits []float32, err error) {
		chosen, logits = make([]int32, len(tokens)/n*steps), make([]float32, len(which)*c.nVocab)
		return chosen, logits, c.run(func(cerr *C.ls_error) C.int {
			return C.ls_answer(c.c, C.ls_question{
				n_seq: C.int32_t(len(tokens) / n), n_prompt: C.int32_t(prompt), n_steps: C.int32_t(steps), ids: ids(tokens),
				n_rows: C.int32_t(len(which)), rows: ids(which), chosen: ids(chosen), logits: floats(logits),
			}, cerr)
		})
	}
	some := spread(len(sequences), 8) // whose logits are kept
	check := BatchCheck{FirstDifference: -1, Finite: true}
	var (
		chosen [][]int32
		logits [][]float32
		which  []int32
		start  = time.Now()
	)
	for _, s := range some[:min(most, len(some))] {
		if len(which) > 0 && time.Since(start) > budget/2 {
			break
		}
		a, l, err := answer(alone[s], []int32{0})
		if err != nil {
			return BatchCheck{}, err
		}
		chosen, logits, which = append(chosen, a), append(logits, l), append(which, int32(s))
	}
	// A batch is faster than its sequences one by one; how much, it would have to show.
	if each := time.Since(start) / time.Duration(len(which)); each*time.Duration(len(sequences))/4 > budget {
		return check, nil
	}
	together, last, err := answer(flat, which)
	if err != nil {
		return BatchCheck{}, err
	}
	for i, s := range which {
		rel, finite := relativeL2(last[i*c.nVocab:(i+1)*c.nVocab], logits[i])
		check.Sequences, check.RelL2, check.Finite = append(check.Sequences, int(s)), append(check.RelL2, rel), check.Finite && finite
		for step, id := range chosen[i] {
			if id != together[int(s)*steps+step] && (check.FirstDifference < 0 || step < check.FirstDifference) {
				check.FirstDifference = step
			}
		}
	}
	return check, nil
}
