package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
)

// Rates are what a guess of a plan's time goes by.
type Rates struct {
	ReadBytesPerS float64 // memory, with as many threads as decode has
	FlopPerS      float64 // multiply-adds on registers, two operations each
}

// What a guess takes for granted.
const (
	// promptShare of FlopPerS is what a prompt's matrix products reach: 0.2 to 0.5 in
	// results/2026-11-23-ollama-check-xeon-2-cores, for prompts of 64 tokens and more in f16 and q4_0.
	promptShare = 1.0 / 3
	// loadBytesPerS is how fast a file is loaded that the page cache has: 0.4 to 20 GB/s in results/.
	loadBytesPerS = 1e9
	// probeS is what the quick probe of a device takes.
	probeS = 3.0
	// smallModelFloor is what a token costs in a model of no size, as bytes: about 20 us of barriers and bookkeeping
	// at 10 GB/s.
	smallModelFloor = 2e5
)

// Nominal rates are the unit of Job.weight: those of no machine, in about the proportion that CPUs have.
var Nominal = Rates{ReadBytesPerS: 10e9, FlopPerS: 130e9}

// promptSeconds guesses how long it takes to evaluate tokens that are known: they read the weights once for each ubatch,
// or are computed, whichever takes longer.
func (j *Job) promptSeconds(tokens float64, r Rates) float64 {
	d := &j.Model.Desc
	ubatches := math.Ceil(tokens / float64(max(j.Backend.UBatchTokens, 1)))
	return max(ubatches*(float64(d.BytesReadPerToken)+smallModelFloor)/r.ReadBytesPerS, 2*float64(d.ParamsActive)*tokens/(promptShare*r.FlopPerS))
}

// callSeconds guesses one call's time: each decode step reads the weights, all of a mixture's for many sequences, and
// each sequence's cache; or it computes.
func (j *Job) callSeconds(s config.Scenario, gen int, r Rates) (prefill, decode float64) {
	prompt, batch, d := float64(boundTokens(s)), float64(max(1, j.Backend.BatchSize)), &j.Model.Desc
	weights := float64(d.BytesReadPerToken)
	if d.ParamsActive < d.ParamsTotal {
		weights = min(batch*weights, max(weights, float64(d.WeightBytes)))
	}
	cache := batch * float64(j.KVBytes) * (float64(s.Depth) + prompt + float64(gen)/2)
	step := (weights + smallModelFloor + cache) / r.ReadBytesPerS
	if batch > 1 {
		step = max(step, 2*float64(d.ParamsActive)*batch/(promptShare*r.FlopPerS))
	}
	return j.promptSeconds(batch*prompt, r), float64(gen) * step
}

// fillSeconds guesses how long it takes to fill the cache of a cell's calls to their depth: once, or where the first
// call's is not kept for each.
func (j *Job) fillSeconds(s config.Scenario, r Rates) float64 {
	return j.promptSeconds(float64(max(1, j.Backend.BatchSize)*s.Depth), r)
}

// paceSeconds is what comes before a call whose prefill takes that long.
func (j *Job) paceSeconds(prefill float64) float64 {
	if j.Load.HotMS > 0 {
		return min(max(prefill, float64(j.Load.HotMS)/1e3), protocol.HotMost.Seconds())
	}
	return float64(j.Load.IdleMS) / 1e3
}

// Weight is the work of one call of a cell in seconds of a nominal machine, for guessing the time that is left.
func (p *Plan) Weight(j *Job, s config.Scenario) float64 {
	prefill, decode := j.callSeconds(s, p.Config.Gen(s), Nominal)
	return j.paceSeconds(prefill) + prefill + decode + j.fillSeconds(s, Nominal)/float64(p.PerTurn())
}

// Estimate is a guess of how long a plan takes, in seconds.
type Estimate struct {
	Rates
	Probe, Load, Prefill, Decode float64
	Pace                         float64 // untimed work and pauses before the calls
	Fill                         float64 // of caches, to the depths of calls

	WriteBytes int64 // of models that are still to be written, whose time is not in the guess
	Elsewhere  int   // pairs of model and backend on a GPU, whose times are not in it
}

// Estimate guesses how long the calls of all blocks take, warm-ups included, at rates that were measured on this machine.
func (p *Plan) Estimate(r Rates) Estimate {
	e := Estimate{Rates: r}
	toWrite := map[string]bool{}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if !j.Tried() {
			continue
		}
		if _, err := os.Stat(j.Model.File); errors.Is(err, fs.ErrNotExist) && !toWrite[j.Model.File] {
			toWrite[j.Model.File] = true
			e.WriteBytes += j.Model.Desc.FileBytes
		}
		if j.Backend.Device != config.DeviceCPU {
			e.Elsewhere++
			continue
		}
		blocks := 0.0
		for _, b := range p.Blocks {
			if slices.ContainsFunc(b, func(v Visit) bool { return v.Job == j }) {
				blocks++
			}
		}
		calls := blocks * float64(p.PerTurn())
		e.Load += blocks * float64(j.Model.Desc.FileBytes) / loadBytesPerS
		for _, c := range j.Cells {
			prefill, decode := j.callSeconds(c.Scenario, p.Config.Gen(c.Scenario), r)
			e.Prefill += prefill * calls
			e.Decode += decode * calls
			e.Pace += j.paceSeconds(prefill) * calls
			e.Fill += j.fillSeconds(c.Scenario, r) * blocks
		}
	}
	if p.Config.Probe {
		e.Probe = probeS * float64(len(p.ProbeSpecs(func(Visit) bool { return true })))
	}
	return e
}

// Seconds is the guess.
func (e Estimate) Seconds() float64 { return e.Probe + e.Load + e.Pace + e.Prefill + e.Decode + e.Fill }

// String says what the guess is and what is in it.
func (e Estimate) String() string {
	filling := ""
	if e.Fill > 0 {
		filling = fmt.Sprintf("filling caches %s, ", About(e.Fill))
	}
	out := fmt.Sprintf("rough time: %s: decode %s, prefill %s, %suntimed before each call %s, loading %s, probe %s\na guess: each token reads its weights and cache at %.3g GB/s, "+
		"a prompt is computed at a third of %.3g Gflop/s (both measured just now), files are loaded at %.3g GB/s",
		About(e.Seconds()), About(e.Decode), About(e.Prefill), filling, About(e.Pace), About(e.Load), About(e.Probe),
		e.ReadBytesPerS/1e9, e.FlopPerS/1e9, loadBytesPerS/1e9)
	if e.WriteBytes > 0 {
		out += "; writing " + text.Size(e.WriteBytes) + " of models comes on top"
	}
	if e.Elsewhere > 0 {
		out += fmt.Sprintf("; what a GPU computes (%d pairs of model and backend) is not in it", e.Elsewhere)
	}
	return out
}

// About writes seconds as coarsely as they are known.
func About(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case s >= 600:
		d = d.Round(time.Minute)
	case s >= 10:
		d = d.Round(time.Second)
	default:
		d = d.Round(100 * time.Millisecond)
	}
	out := d.String()
	if strings.HasSuffix(out, "m0s") {
		out = strings.TrimSuffix(out, "0s")
	}
	if strings.HasSuffix(out, "h0m") {
		out = strings.TrimSuffix(out, "0m")
	}
	return out
}
