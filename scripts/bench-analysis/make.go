// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"

	"llmscale/runner/record"
)

// template is a run that is repeated.
type template struct {
	manifest []byte
	calls    [][]record.Record // of each call one for each mode
}

// readTemplate reads a run folder whose records may be compressed. What newer
// versions write beside is filled in, so that lines are as long as today's.
func readTemplate(dir string) (*template, error) {
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, err
	}
	var r io.Reader
	f, err := os.Open(filepath.Join(dir, "runs.jsonl"))
	if os.IsNotExist(err) {
		if f, err = os.Open(filepath.Join(dir, "runs.jsonl.gz")); err == nil {
			r, err = gzip.NewReader(f)
		}
	} else {
		r = f
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &template{manifest: manifest}
	dec := json.NewDecoder(r)
	for {
		var rec record.Record
		if err := dec.Decode(&rec); err == io.EOF {
			return t, nil
		} else if err != nil {
			return nil, err
		}
		modernise(&rec)
		if last := len(t.calls) - 1; last >= 0 && len(t.calls[last]) < len(record.Modes) && t.calls[last][0].OrderIdx == rec.OrderIdx {
			t.calls[last] = append(t.calls[last], rec)
		} else {
			t.calls = append(t.calls, []record.Record{rec})
		}
	}
}

func modernise(r *record.Record) {
	if r.OutputPieces == nil && r.OutputText != nil {
		n, s := max(1, len(r.OutputTokenIDs)), *r.OutputText
		for i := range n {
			r.OutputPieces = append(r.OutputPieces, s[i*len(s)/n:(i+1)*len(s)/n])
		}
	}
	if r.Pace == nil {
		r.Pace, r.PrefillColdMS, r.CPUAffinity, r.CPUs = new(record.PaceHot), r.PrefillMS, new("0-1"), new(2.0)
		r.NThreadsAsked, r.NThreadsBatchAsked = 2, 2
		r.LlamaSource, r.BuildCompiler, r.BuildFlags = "package", "GNU 12.2.0", "-O3 -DNDEBUG -march=native (amx/mmq.cpp: -fno-tree-dse -fno-dse)"
		r.CPUFeatures = "CPU : SSE3 = 1 | SSSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | BMI2 = 1 | AVX512 = 1 | AVX512_VBMI = 1 | AVX512_VNNI = 1 | AVX512_BF16 = 1 | AMX_INT8 = 1 | LLAMAFILE = 1 | OPENMP = 1 | REPACK = 1 |"
		r.SelfCheckRelL2, r.SelfCheckTokens, r.TokensPerSEach = new(8.693580872294985e-4), new(40), r.TokensPerS
	}
}

// write makes a run folder of n records. The template's run is repeated whole, each
// time with other models, or with further repetitions; times scatter anew.
func (t *template) write(folder, kind string, n int) error {
	if kind != "models" && kind != "repetitions" {
		return fmt.Errorf("there is no kind %q; there are models and repetitions", kind)
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "manifest.json"), t.manifest, 0o666); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(folder, "runs.jsonl"))
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	rounds := (n + len(t.calls)*len(record.Modes) - 1) / (len(t.calls) * len(record.Modes))
	workers := runtime.GOMAXPROCS(0)
	made := make([]chan []byte, workers) // round k comes from the k-th, in turn
	for i := range made {
		made[i] = make(chan []byte, 1)
		go func() {
			for k := i; k < rounds; k += workers {
				made[i] <- t.round(kind, k)
			}
		}()
	}
	left := n
	for k := range rounds {
		for line := range bytes.Lines(<-made[k%workers]) {
			if left--; left < 0 {
				break
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// round is the template's run once more, as lines.
func (t *template) round(kind string, k int) []byte {
	rng := rand.New(rand.NewPCG(uint64(k), 1))
	size := math.Pow(1.0005, float64(k)) // of the k-th models, to the first ones'
	reps, warm := 0, 0
	for _, call := range t.calls {
		if r := &call[0]; r.Rep != nil {
			reps = max(reps, *r.Rep+1)
		} else if r.WarmupIdx != nil {
			warm = max(warm, *r.WarmupIdx+1)
		}
	}
	var out []byte
	for _, call := range t.calls {
		jitter := math.Exp(0.03 * rng.NormFloat64())
		tokens, sampling := vary(call[0].TokenNS, rng, jitter*size), vary(call[0].TokenSamplingNS, rng, jitter)
		for _, r := range call {
			r.OrderIdx += k * len(t.calls)
			times := jitter
			if kind == "models" {
				times *= size
				r.Model = fmt.Sprintf("%s-%d", r.Model, k)
				r.CellID = r.Model + "/" + r.Backend + "/" + r.Scenario
				r.TaskIdx += k * len(t.calls)
				r.ModelFile = fmt.Sprintf("%d-%s", k, r.ModelFile)
				if sum := r.ModelSHA256; sum != nil {
					r.ModelSHA256 = new(fmt.Sprintf("%016x", k) + (*sum)[16:])
				}
				for _, v := range []*int64{&r.ParamsTotal, &r.ParamsNonEmbedding, &r.ParamsActive, &r.WeightBytes, &r.BytesPerToken} {
					*v = int64(float64(*v) * size)
				}
				r.ParamsMillions = float64(r.ParamsTotal) / 1e6
			} else {
				r.CallIdx += k * (reps + warm)
				r.SampleIdx = r.CallIdx
				if r.Rep != nil {
					r.Rep = new(*r.Rep + k*reps)
				} else {
					r.WarmupIdx = new(*r.WarmupIdx + k*warm)
				}
			}
			for _, v := range []**float64{&r.PrefillMS, &r.KVDecodeMS, &r.E2EKVMS, &r.DecodeNoSampMS, &r.TTFTMS, &r.PrefillColdMS, &r.LatencyMS} {
				if *v != nil {
					*v = new(math.Round(**v*times*1e6) / 1e6)
				}
			}
			for _, v := range []**float64{&r.TokensPerS, &r.TokensPerSEach} {
				if *v != nil {
					*v = new(**v / times)
				}
			}
			r.TokenNS, r.TokenSamplingNS = tokens, sampling
			line, err := json.Marshal(&r)
			if err != nil { // there are numbers and texts in it alone
				panic(err)
			}
			out = append(append(out, line...), '\n')
		}
	}
	return out
}

func vary(ns []int64, rng *rand.Rand, by float64) []int64 {
	out := make([]int64, len(ns))
	for i, v := range ns {
		out[i] = int64(float64(v) * by * (1 + 0.02*rng.Float64()))
	}
	return out
}
