package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
)

func BenchmarkAnalyze(b *testing.B) {
	for _, rows := range []int{1000, 10000} {
		p := celltest.Ladder
		p.Backends, p.Scenarios = []string{"native_cpu_f32", "native_cpu_f16"}, []string{"p1", "p9", "p17"}
		p.Reps = rows/(2*8*3*3) - 1
		run := &runs.Run{Harness: runs.HarnessLLMScale, Rows: p.Rows(1)}
		b.Run(fmt.Sprintf("Analyze/rows=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Analyze(run, cells.Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(run.Rows))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	p := celltest.Ladder
	p.Reps = 10000/(8*2*3) - 1
	for _, r := range p.Rows(1) {
		if err := enc.Encode(r.Record()); err != nil {
			b.Fatal(err)
		}
	}
	dir := writeRun(b, "{}", lines.String())
	b.Run("Load/rows=10000", func(b *testing.B) {
		b.SetBytes(int64(lines.Len()))
		for b.Loop() {
			if _, err := runs.Load(dir); err != nil {
				b.Fatal(err)
			}
		}
	})
}
