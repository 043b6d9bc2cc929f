package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/answer"
	"llmscale/analysis/cells"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// variant is one backend of a made-up run: its settings, and how many times as long it
// takes as 1 ms for each million parameters.
type variant struct {
	name   string
	set    func(*runs.Row)
	decode func(size float64, depth int) float64
}

// variantsRun makes up a run of prefill and decode by several backends, of which the true
// times are known: five calls that scatter by 0.5 %.
func variantsRun(t *testing.T, sizes []float64, depths []int, ways ...variant) (*analysis.Result, string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	var rows []runs.Row
	for _, w := range ways {
		for i, size := range sizes {
			for _, depth := range depths {
				for rep := range 5 {
					for _, mode := range record.Modes {
						r := runs.RowOf(record.Record{
							Origin: record.Origin{SchemaVersion: 1, RunID: "made-up", TaskIdx: len(rows) / 15},
							Subject: record.Subject{Scenario: fmt.Sprintf("p16_d%d", depth), Backend: w.name, BackendKind: "native",
								Model: fmt.Sprintf("llama-%gm", size), ParamsMillions: size, GenTokensTarget: 32, BatchSizeConfig: 1, Depth: depth},
							Outcome: record.Outcome{CallIdx: rep, Rep: &rep, Status: record.StatusOK, Mode: mode},
						})
						r.Line = len(rows) + 1
						params := int64(size * 1e6)
						r.ModelFacts = record.ModelFacts{WeightType: "q4_0", Architecture: "llama", NLayer: 4 + i, NEmbd: 64 * (i + 1), ParamsTotal: params, ParamsNonEmbedding: params, ParamsActive: params, BytesPerToken: params / 2}
						r.Device, r.FlashAttention, r.KVTypeK, r.KVTypeV, r.NBatch, r.NUBatch, r.LlamaCommit, r.NThreadsAsked, r.NThreadsBatchAsked = "cpu", "auto", "f16", "f16", 2048, 512, "abc", 2, 2
						w.set(&r)
						prompt, gen := 16, 32
						r.PromptTokensRaw, r.GenTokens, r.GenTokensRaw = &prompt, &gen, &gen
						step := size * w.decode(size, depth) * math.Exp(.005*rng.NormFloat64())
						ms := map[string]float64{record.ModePrefill: 2 * step, record.ModeDecode: 32 * step, record.ModeE2E: 34 * step}[mode]
						r.LatencyMS = &ms
						if mode == record.ModePrefill && r.Pace != nil {
							cold := 1.5 * ms
							r.PrefillColdMS = &cold
						}
						rows = append(rows, r)
					}
				}
			}
		}
	}
	r, err := analysis.Analyze(&runs.Run{Harness: runs.HarnessLLMScale, Rows: rows}, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	md := unfolded(t, r, "", nil)
	if dir := os.Getenv("LLMSCALE_LOOK"); dir != "" { // the page, to be looked at
		page, err := compose(r, answer.Of(r), nil).HTML("")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+t.Name()+".html", page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return r, md
}

func mustNotSay(t *testing.T, md string, unwanted ...string) {
	t.Helper()
	for _, s := range unwanted {
		if strings.Contains(md, s) {
			t.Errorf("the report says %q:\n%.6000s", s, md)
		}
	}
}

// TestThreadsSaid: the third thread is best for decode, the fourth costs; the small
// model gains nothing from the second.
func TestThreadsSaid(t *testing.T) {
	var ways []variant
	for i, times := range [][2]float64{{100, 100}, {99, 55}, {140, 40}, {200, 50}} {
		n := i + 1
		ways = append(ways, variant{fmt.Sprintf("cpu_t%d", n), func(r *runs.Row) { r.NThreadsAsked, r.NThreadsBatchAsked = n, n }, func(size float64, _ int) float64 {
			if size < 10 {
				return times[0]
			}
			return times[1]
		}})
	}
	_, md := variantsRun(t, []float64{5, 134}, []int{0}, ways...)
	says(t, md, "| threads 2 | 1 | decode | **faster from ", "** | 1.0", "] at 5M | 1.8", "] at 134M |", "95 % intervals within one process.", "| threads 4 | 1 | decode | **slower up to ", "\\]**, **faster from ", "** | 0.5",
		"## Settings that matter: threads and threads_batch at ", "## The ranking changes with size: ", "| cpu_t3 | 3 (", " | **1** |")
	mustNotSay(t, md, "The law of each model", "cold prefill", "Timed calls are", "Decode on **")
}

// TestFromWhichSizeSaid: flash attention helps from 62M on, at depth more.
func TestFromWhichSizeSaid(t *testing.T) {
	fa := func(v string, gain func(size float64, depth int) float64) variant {
		return variant{"cpu_fa_" + v, func(r *runs.Row) { r.FlashAttention = v }, func(size float64, depth int) float64 { return 1 / gain(size, depth) }}
	}
	one := func(float64, int) float64 { return 1 }
	_, md := variantsRun(t, []float64{5, 14, 62, 134, 1200}, []int{0}, fa("off", one), fa("on", func(size float64, _ int) float64 {
		if size < 60 {
			return 1
		}
		return 1.2
	}))
	says(t, md, "| flash_attn on | off | decode | **faster from ", "** | 1.0", "] at 5M | 1.2", "] at 1.2B |", "| flash_attn on | off | prefill | ", "## Settings that matter: flash_attn at some sizes")
	mustNotSay(t, md, "**threads", "## The ranking", "Decode on **")
	_, md = variantsRun(t, []float64{5, 14}, []int{0, 4096}, fa("off", one), fa("on", func(_ float64, depth int) float64 { return 1 + float64(depth)/4096 }))
	says(t, md, "| decode of p16_d0 | ", "| within 10 % at all 2 sizes |", "| decode of p16_d4096 | ", "| **faster at all 2 sizes** |",
		"What joins scenarios is of those at depth 0, without p16_d4096.")
}

// TestDepthSaid: each token of depth costs the same.
func TestDepthSaid(t *testing.T) {
	_, md := variantsRun(t, []float64{5, 134}, []int{0, 512, 4096}, variant{"cpu", func(*runs.Row) {}, func(size float64, depth int) float64 { return 1 + float64(depth)/4096 }})
	says(t, md, "| decode | cpu | 32.5 to 4128 positions | ", "tokens cannot be told", "Prompts end at position 4112 at most")
	mustNotSay(t, md, "## Settings that matter")
}

// TestBatchesAndPaceSaid: hot with its cold prefill beside, in a run of two batches.
func TestBatchesAndPaceSaid(t *testing.T) {
	hot := record.PaceHot
	batch := func(n int, times float64) variant {
		return variant{fmt.Sprintf("cpu_b%d", n), func(r *runs.Row) { r.BatchSize, r.BatchSizeConfig, r.Pace = &n, n, &hot }, func(float64, int) float64 { return times }}
	}
	_, md := variantsRun(t, []float64{5, 134}, []int{0}, batch(1, 1), batch(8, 2))
	says(t, md, "| batch_size 8 | 1 | decode | **more tokens per second at all 2 sizes** | 4.0", "batches.csv", "cold prefill (ms)",
		"Batch size 1 and 8, sequences of equal length that begin together")
}

// TestBuildsSaid: two builds are compared, and the weight types of each
// are told apart.
func TestBuildsSaid(t *testing.T) {
	var variants []variant
	for _, program := range []string{"", "bin/llmscale-ollama"} {
		for _, typ := range []string{"f16", "q4_0"} {
			variants = append(variants, variant{map[string]string{"": "a_", "bin/llmscale-ollama": "b_"}[program] + typ, func(r *runs.Row) {
				r.Program, r.WeightType, r.Device = program, typ, "cpu"
				r.BuildCompiler, r.CPUFeatures = "GNU 12.2.0", "CPU : SSE3 = 1 | AVX = 1 | "
				if program != "" {
					r.LlamaCommit, r.CPUFeatures = "def", "CPU : SSE3 = 1 | AMX = 1 | AVX = 1 | "
				}
				if typ == "f16" {
					r.BytesPerToken *= 4
				}
			}, func(float64, int) float64 {
				return map[string]float64{"f16": 3, "q4_0": 1}[typ] * map[string]float64{"": 1, "bin/llmscale-ollama": 1.5}[program]
			}})
		}
	}
	_, md := variantsRun(t, []float64{5, 62, 134}, []int{0}, variants...)
	says(t, md, "| program bin/llmscale-ollama | self | dtype q4_0 | decode | **slower at all 3 sizes** | 0.6", "| dtype q4_0 | f16 | program self | decode | ", "## a_q4_0 is shown to be the fastest")
}

// TestNoAxes: a run of one backend says nothing of settings.
func TestNoAxes(t *testing.T) {
	r, md := variantsRun(t, []float64{5, 134}, []int{0}, variant{"cpu", func(*runs.Row) {}, func(float64, int) float64 { return 1 }})
	mustNotSay(t, md, "Settings that matter", "axes.csv", "The law of each model", "stand alone")
	if asked := analysis.Get[policy.Answer](r); asked.Axes != nil || asked.Batches != nil || analysis.Get[lengths.Answer](r).Laws != nil {
		t.Errorf("%+v", asked)
	}
}
