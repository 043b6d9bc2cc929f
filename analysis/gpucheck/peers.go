package gpucheck

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"llmscale/analysis/stats"
)

// llamaBench sets llama-bench's decode beside llmscale's of the same file, without sampling, which it has none of.
func (r *Report) llamaBench(dir string) {
	const what = "llama-bench"
	f, err := os.Open(filepath.Join(dir, BenchFile))
	if err != nil {
		r.missing(what, "", BenchFile, err)
		return
	}
	defer f.Close()
	ours := map[string]callTimes{} // by model, after a prompt of one token
	for _, sweep := range []string{eightB, "gpt2"} {
		times, err := timesOf(filepath.Join(dir, sweep))
		if err != nil {
			continue // as the finding about the sweep says
		}
		for k, t := range times {
			if k.prompt == 1 {
				ours[k.model] = t
			}
		}
	}
	for s := bufio.NewScanner(f); s.Scan(); {
		var line struct {
			File string  `json:"model_filename"`
			Gen  int     `json:"n_gen"`
			Rate float64 `json:"avg_ts"` // tokens/s
		}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			r.missing(what, "", BenchFile, err)
			return
		}
		if line.Gen == 0 {
			continue
		}
		file := strings.TrimPrefix(filepath.Base(line.File), "shape-")
		finding := Finding{What: what + ", " + file, Measured: fmt.Sprintf("decode %.4g tokens/s", line.Rate), Verdict: Stated, Where: BenchFile}
		for model, t := range ours {
			if rest, ok := strings.CutPrefix(file, model+"-"); ok && strings.Count(rest, "-") == 1 { // TYPE-SEED.gguf
				finding.Measured += fmt.Sprintf(", llmscale %.4g", 1e3/t.noSamplingMS)
			}
		}
		r.add(finding)
	}
}

// torch says what PyTorch reached on the same card: its product and its copy, and models of the same shapes in f16.
func (r *Report) torch(dir string) {
	r.torchCeilings(dir)
	r.torchModels(dir)
}

func (r *Report) torchCeilings(dir string) {
	var doc struct {
		Product struct {
			Flop  float64   `json:"flop"`
			MS    []float64 `json:"ms"`
			Right bool      `json:"right"`
		} `json:"product_f16"`
		Copy struct {
			Bytes float64   `json:"bytes"`
			MS    []float64 `json:"ms"`
			Right bool      `json:"right"`
		} `json:"copy"`
	}
	data, err := os.ReadFile(filepath.Join(dir, TorchCeilings))
	if err == nil {
		err = json.Unmarshal(data, &doc)
	}
	if err == nil && (len(doc.Product.MS) == 0 || len(doc.Copy.MS) == 0) {
		err = errors.New("the file has no times")
	}
	if err != nil {
		r.missing("cuBLAS and copy by PyTorch", "", TorchCeilings, err)
		return
	}
	for _, f := range []struct {
		what, measured string
		right          bool
	}{
		{"f16 product by cuBLAS (PyTorch)", fmt.Sprintf("%.0f TFLOP/s", doc.Product.Flop/stats.Median(doc.Product.MS)/1e9), doc.Product.Right},
		{"copy of 4 GiB (PyTorch)", fmt.Sprintf("%.0f GB/s", doc.Copy.Bytes/stats.Median(doc.Copy.MS)/1e6), doc.Copy.Right},
	} {
		finding := Finding{What: f.what, Measured: f.measured, Verdict: Stated, Where: TorchCeilings}
		if !f.right {
			finding.Measured, finding.Verdict, finding.Why = "", Differs, "the answer is wrong: its figure means nothing"
		}
		r.add(finding)
	}
}

// torchLine is a call in torch.jsonl.
type torchLine struct {
	Model    string  `json:"model"`
	Prompt   int     `json:"prompt_tokens"`
	Gen      int     `json:"gen_tokens"`
	IsWarmup bool    `json:"is_warmup"`
	Prefill  float64 `json:"prefill_ms"`
	Decode   float64 `json:"kv_decode_ms"`
}

// torchModels sets PyTorch's decode after one token and prefill of 512 beside llama.cpp's of the same name.
func (r *Report) torchModels(dir string) {
	const what = "PyTorch f16 on the same shapes"
	f, err := os.Open(filepath.Join(dir, TorchFile))
	if err != nil {
		r.missing(what, "", TorchFile, err)
		return
	}
	defer f.Close()
	ours := map[callKey]callTimes{}
	for _, sweep := range []string{"gpt2", "f16"} {
		times, err := timesOf(filepath.Join(dir, sweep))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.missing(what+": "+sweep, "", sweep, err)
		}
		for k, t := range times {
			ours[callKey{model: k.model, prompt: k.prompt}] = t
		}
	}
	type phase struct {
		model  string
		prompt int
	}
	samples, order := map[phase][]float64{}, []phase{}
	for s := bufio.NewScanner(f); s.Scan(); {
		var line torchLine
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			r.missing(what, "", TorchFile, err) // of a script that was stopped
			break
		}
		key := phase{line.Model, line.Prompt}
		if line.IsWarmup || line.Gen < 1 {
			continue
		}
		if samples[key] == nil {
			order = append(order, key)
		}
		if line.Prompt == 1 {
			samples[key] = append(samples[key], line.Decode/float64(line.Gen))
		} else {
			samples[key] = append(samples[key], line.Prefill)
		}
	}
	for _, key := range order {
		label, ms := fmt.Sprintf("prefill of %d tokens", key.prompt), stats.Median(samples[key])
		own, ok := ours[callKey{model: key.model, prompt: key.prompt}]
		mine := own.prefillMS
		if key.prompt == 1 {
			label, mine = "decode of a token", own.tokenMS
		}
		finding := Finding{What: "PyTorch f16, " + key.model, Measured: fmt.Sprintf("%s %.3g ms", label, ms), Verdict: Stated, Where: TorchFile}
		if ok {
			finding.Measured += fmt.Sprintf(", llama.cpp %.3g", mine)
		}
		r.add(finding)
	}
}
