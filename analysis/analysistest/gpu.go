package analysistest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Wall makes up a run of the ladder on a GPU that plays cards of several sizes, and
// analyses it: reading at 2 TB/s beside 0.3 ms of launches for each token, layers
// on the CPU at 20 GB/s. With a power cap on the large models, CUDA graphs
// captured in a repetition of one, a fallback in another, and calls that another
// program spoilt. All of it is invented. What is to be changed of the records is
// changed before they are analysed.
func Wall(change ...func(*runs.Row)) (*analysis.Result, error) {
	run := &runs.Run{Harness: runs.HarnessLLMScale}
	rng := rand.New(rand.NewPCG(3, 121))
	sizes := []struct {
		name   string
		params float64 // millions
		layers int
	}{{"llama-5m", 4.852, 4}, {"llama-32m", 32.51, 8}, {"llama-134m", 133.9, 13}, {"llama-556m", 555.6, 21}, {"llama-1.2b", 1176, 27},
		{"llama-2.3b", 2343, 34}, {"llama-4.7b", 4734, 43}, {"llama-9.9b", 9896, 55}, {"llama-20b", 20390, 70}}
	type backend struct {
		Name   string   `json:"name"`
		Device string   `json:"device"`
		Layers int      `json:"n_gpu_layers"`
		Limit  *float64 `json:"vram_limit_gib,omitempty"`
	}
	var backends []backend
	scenarios := []Scenario{{"p1", 1}, {"p512", 512}}
	const gen, reps = 64, 4
	task := 0
	for _, weights := range []struct {
		name  string
		bytes float64 // of a weight
	}{{"q4_0", 0.5625}, {"f16", 2}} {
		for _, limit := range []float64{8, 12, 24} {
			for _, asked := range []struct {
				word   string
				layers int
			}{{"all", -1}, {"fit", -2}} {
				b := backend{Name: fmt.Sprintf("cuda_%gg_%s_%s", limit, weights.name, asked.word), Device: "cuda", Layers: asked.layers, Limit: &limit}
				backends = append(backends, b)
				for _, m := range sizes {
					bytes := m.params * 1e6 * weights.bytes
					const room = 1.2 // GiB: the context, pools and what fitting leaves free
					share := min(1, (limit-room)*(1<<30)/bytes)
					layers := m.layers + 1
					if share < 1 && asked.layers == -2 {
						layers = int(share * float64(m.layers+1))
					}
					oom := share < 1 && asked.layers == -1 || layers == 0
					for _, sc := range scenarios {
						for call := range reps + 1 {
							base := record.Record{
								Origin: record.Origin{SchemaVersion: record.SchemaVersion, RunID: "20260101_120000", TaskIdx: task},
								Outcome: record.Outcome{CallIdx: call, IsWarmup: call == 0,
									Status: record.StatusOK, Attempted: true},
								Subject: record.Subject{Scenario: sc.Name, Backend: b.Name, BackendKind: "native", Model: m.name, ModelKind: "synth", ModelSource: "ladder:llama", ParamsMillions: m.params,
									GenTokensTarget: gen, BatchSizeConfig: 1},
							}
							base.WeightType, base.Architecture, base.NLayer, base.NEmbd = weights.name, "llama", m.layers, 64*m.layers
							base.ParamsTotal, base.ParamsActive, base.BytesPerToken = int64(m.params*1e6), int64(m.params*1e6), int64(bytes)
							base.Device, base.NThreads, base.NGPULayers, base.VRAMLimitGiB = "cuda", new(8), layers, &limit
							if call == 0 {
								base.WarmupIdx = new(0)
							} else {
								base.Rep = new(call - 1)
							}
							if oom {
								base.Status, base.Error, base.NGPULayers = record.StatusOOM, new("llama_model_load: unable to allocate CUDA0 buffer"), asked.layers
								for _, mode := range record.Modes {
									r := runs.RowOf(base)
									r.Mode = mode
									run.Rows = append(run.Rows, r)
								}
								break
							}
							base.GPUName = new("Made-up GPU 80GB")
							onGPU := float64(layers) / float64(m.layers+1)
							step := (0.3 + 1000*bytes*onGPU/2e12 + 1000*bytes*(1-onGPU)/20e9) * math.Exp(0.01*rng.NormFloat64())
							prefill := (0.5 + m.params*float64(sc.Prompt)/3e5) * math.Exp(0.01*rng.NormFloat64())
							for range gen {
								base.TokenNS = append(base.TokenNS, int64(step*1e6*math.Exp(0.01*rng.NormFloat64())))
							}
							decode := gen * step
							base.PrefillMS, base.KVDecodeMS, base.E2EKVMS = &prefill, &decode, new(prefill+decode)
							base.BatchSize, base.SeqLen, base.PromptTokensRaw, base.GenTokens, base.GenTokensRaw = new(1), new(sc.Prompt), new(sc.Prompt), new(gen), new(gen)
							gib := bytes * onGPU / (1 << 30)
							base.VRAMBeforeMiB, base.VRAMLoadedMiB, base.VRAMContextMiB = new(81920-limit*1024+480), new(81920-limit*1024+480+gib*1024), new(81920-limit*1024+700+gib*1024)
							base.VRAMWeightsMiB, base.VRAMKVMiB, base.VRAMComputeMiB = new(gib*1024), new(2*m.params/100), new(100.0)
							base.GPUPeakMB = new(*base.VRAMContextMiB + 64 + m.params/100)
							base.GraphCaptures, base.SplitsPrefill, base.SplitsDecode = new(int64(0)), new(2), new(2)
							base.CPUOpsPrefill, base.CPUOpsDecode, base.CPUBytesPrefill, base.CPUBytesDecode = new(1), new(1), new(int64(4*64*m.layers*sc.Prompt)), new(int64(4*64*m.layers))
							base.CPUOpNames = []string{"GET_ROWS x 1"}
							switch {
							case call == 2 && m.name == "llama-134m" && sc.Name == "p1" && b.Name == backends[0].Name:
								*base.GraphCaptures = 1
							case m.name == "llama-32m":
								base.CPUOpsPrefill, base.CPUOpsDecode, base.CPUOpNames = new(9), new(9), []string{"FLASH_ATTN_EXT x 8", "GET_ROWS x 1"}
							case onGPU < 1:
								base.CPUOpsPrefill, base.CPUOpsDecode = new(15*(m.layers-layers)), new(15*(m.layers-layers))
								base.CPUOpNames = []string{"MUL_MAT x 100", "ADD x 40", "GET_ROWS x 1"}
							}
							if m.name == "llama-556m" && sc.Name == "p1" && call == 3 {
								base.Verdict, base.VerdictReasons = new(record.VerdictInvalid), []string{"another program uses the GPU: python (PID 4711, compute, 812 MiB)"}
							}
							for _, mode := range record.Modes {
								r := runs.RowOf(base)
								r.Mode = mode
								ms, tokens := prefill, sc.Prompt
								switch mode {
								case record.ModeDecode:
									ms, tokens = decode, gen
								case record.ModeE2E:
									ms, tokens = prefill+decode, sc.Prompt+gen
								}
								gap := 0.015 + 0.002*ms
								r.LatencyMS, r.TokensTotal, r.CUDAEventMS, r.HostGapMS = new(ms), new(tokens), new(ms-gap), new(gap)
								r.PowerMeanW, r.SMClockMedianMHz, r.SMClockMinMHz, r.MemClockMedianMHz, r.TemperatureMaxC = new(200+m.params/50), new(1700.0), new(1650.0), new(2600.0), new(50+m.params/2000)
								r.ThrottleReasons = []string{"gpu_idle"}
								if m.params > 9000 {
									r.ThrottleReasons = append(r.ThrottleReasons, "sw_power_cap")
								}
								if m.name == "llama-20b" && limit == 24 {
									r.ThrottleReasons = append(r.ThrottleReasons, "sw_thermal_slowdown")
								}
								if ms > 400 {
									r.EnergyJ, r.EnergyUncertaintyJ = new(*r.PowerMeanW*ms/1000), new(*r.PowerMeanW*0.1)
								}
								run.Rows = append(run.Rows, r)
							}
						}
						task++
					}
				}
			}
		}
	}
	plan, err := json.Marshal(map[string]any{"run_id": "20260101_120000", "run_name": "made-up memory wall", "resolved": map[string]any{"backends": backends}})
	if err == nil {
		run.Manifest, err = runs.ParseManifest(plan)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range change {
		for i := range run.Rows {
			c(&run.Rows[i])
		}
	}
	return analysis.Analyze(run, cells.Options{Bootstrap: -1})
}
