//go:build native

package native

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
)

// gpt2 is an independent GPT-2 in float64 and plain loops, written from the
// architecture's definition (Radford et al. 2019; GELU in its tanh form): the
// yardstick for llama.cpp's answers. Its weights have the names and the row order
// of a GGUF file, wherever they come from.
type gpt2 struct {
	nLayer, nEmbd, nHead int
	epsilon              float64 // of the layer norms
	w                    map[string][]float64
	keys, values         [][][]float64 // [layer][position][nEmbd]
}

// loadGPT2 takes the weights of a file, which must be f32.
func loadGPT2(t testing.TB, path string) *gpt2 {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := ledger.Describe(f)
	if err != nil {
		t.Fatal(err)
	}
	g := &gpt2{nLayer: int(d.NLayer), nEmbd: int(d.NEmbd), nHead: int(d.NHead), epsilon: 1e-5, w: map[string][]float64{}}
	for i := range f.Tensors {
		tensor := &f.Tensors[i]
		if tensor.Type != gguf.F32 {
			t.Fatalf("%s is %v: the reference reads f32 only", tensor.Name, tensor.Type)
		}
		raw, err := io.ReadAll(f.Data(tensor))
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float64, len(raw)/4)
		for k := range v {
			v[k] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*k:])))
		}
		g.w[tensor.Name] = v
	}
	g.reset()
	return g
}

func (g *gpt2) reset() {
	g.keys, g.values = make([][][]float64, g.nLayer), make([][][]float64, g.nLayer)
}

// linear computes W x + b; W has len(x) columns, row by row.
func linear(w, b, x []float64) []float64 {
	out := make([]float64, len(w)/len(x))
	for i := range out {
		row := w[i*len(x) : (i+1)*len(x)]
		sum := 0.0
		for k, v := range row {
			sum += v * x[k]
		}
		if b != nil {
			sum += b[i]
		}
		out[i] = sum
	}
	return out
}

func layerNorm(x, weight, bias []float64, epsilon float64) []float64 {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	for _, v := range x {
		variance += (v - mean) * (v - mean)
	}
	scale := 1 / math.Sqrt(variance/float64(len(x))+epsilon)
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = (v-mean)*scale*weight[i] + bias[i]
	}
	return out
}

func gelu(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// next appends a token and returns the logits of the one that follows.
func (g *gpt2) next(token int32) []float64 {
	pos := len(g.keys[0])
	x := make([]float64, g.nEmbd)
	for i := range x {
		x[i] = g.w["token_embd.weight"][int(token)*g.nEmbd+i] + g.w["position_embd.weight"][pos*g.nEmbd+i]
	}
	headDim := g.nEmbd / g.nHead
	for l := range g.nLayer {
		name := func(part string) []float64 { return g.w[fmt.Sprintf("blk.%d.%s", l, part)] }
		qkv := linear(name("attn_qkv.weight"), name("attn_qkv.bias"), layerNorm(x, name("attn_norm.weight"), name("attn_norm.bias"), g.epsilon))
		q := qkv[:g.nEmbd]
		g.keys[l] = append(g.keys[l], qkv[g.nEmbd:2*g.nEmbd])
		g.values[l] = append(g.values[l], qkv[2*g.nEmbd:])

		attended := make([]float64, g.nEmbd)
		for h := range g.nHead {
			lo, hi := h*headDim, (h+1)*headDim
			scores := make([]float64, pos+1)
			largest := math.Inf(-1)
			for p := range scores {
				for i := lo; i < hi; i++ {
					scores[p] += q[i] * g.keys[l][p][i]
				}
				scores[p] /= math.Sqrt(float64(headDim))
				largest = math.Max(largest, scores[p])
			}
			sum := 0.0
			for p := range scores {
				scores[p] = math.Exp(scores[p] - largest)
				sum += scores[p]
			}
			for p, s := range scores {
				for i := lo; i < hi; i++ {
					attended[i] += s / sum * g.values[l][p][i]
				}
			}
		}
		for i, v := range linear(name("attn_output.weight"), name("attn_output.bias"), attended) {
			x[i] += v
		}
		up := linear(name("ffn_up.weight"), name("ffn_up.bias"), layerNorm(x, name("ffn_norm.weight"), name("ffn_norm.bias"), g.epsilon))
		for i := range up {
			up[i] = gelu(up[i])
		}
		for i, v := range linear(name("ffn_down.weight"), name("ffn_down.bias"), up) {
			x[i] += v
		}
	}
	head := g.w["output.weight"]
	if head == nil {
		head = g.w["token_embd.weight"]
	}
	return linear(head, nil, layerNorm(x, g.w["output_norm.weight"], g.w["output_norm.bias"], g.epsilon))
}

func largestIndex(x []float64) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// difference is the largest |a-b|, relative to the largest |b|: a logit near
// zero has no meaning of its own, the spread of all of them has.
func difference(a []float32, b []float64) float64 {
	worst, scale := 0.0, 0.0
	for i := range b {
		worst = math.Max(worst, math.Abs(float64(a[i])-b[i]))
		scale = math.Max(scale, math.Abs(b[i]))
	}
	return worst / scale
}
