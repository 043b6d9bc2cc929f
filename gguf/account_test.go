package gguf_test

import (
	"math"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
)

func init() {
	gguf.Account = func(t testing.TB, f *gguf.File) (int64, error) {
		d, err := ledger.Describe(f)
		if err != nil {
			return 0, err
		}
		if d.ParamsActive > d.ParamsTotal || d.ParamsActive < 0 || d.BytesReadPerToken < 0 || d.ParamsNonEmbedding > d.ParamsTotal {
			t.Fatalf("%+v", d)
		}
		for _, o := range []ledger.MemoryOptions{{}, {NoFlashAttention: true}, {Context: 1 << 40, UBatch: 1 << 40, TypeK: "f64", TypeV: "q4_0"}} {
			m, err := d.Memory(o)
			if err == nil && (m.Total < m.Weights || m.Total > math.MaxInt64-1 || m.KV < 0 || m.Compute < 0 || m.Output < 0) {
				t.Fatalf("%+v", m)
			}
		}
		return d.WeightBytes, nil
	}
}
