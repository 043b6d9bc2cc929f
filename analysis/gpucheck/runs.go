package gpucheck

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// load reads and analyses one of the check's runs.
func load(dir string) (*runs.Run, *analysis.Result, error) {
	run, err := runs.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	res, err := analysis.Analyze(run, cells.Options{})
	return run, res, err
}

// run looks at device times, captures and the share of the ceilings in one sweep.
func (r *Report) run(dir, name, title string, ceilings bool) {
	const (
		gapShare   = 0.03 // of prefill's host time
		longMS     = 10   // a prefill that is shorter is as much the host's work as the GPU's
		longPrompt = 512  // below it a launch is as long as the phase
	)
	askedGap := fmt.Sprintf("event and host time within %.0f %%, from %d ms on", 100*gapShare, longMS)
	run, res, err := load(filepath.Join(dir, name))
	if err != nil {
		r.missing(title+": sweep", "", name, err)
		return
	}
	ok, all := 0, map[string]bool{}
	gaps, short := map[string][]float64{}, map[string]bool{}
	var captured []string
	for i := range run.Rows {
		row := &run.Rows[i]
		if row.Device != "cuda" {
			continue
		}
		if !all[row.CellID] {
			all[row.CellID] = true
			if row.Status == record.StatusOK {
				ok++
			}
		}
		if row.Status != record.StatusOK || row.IsWarmup {
			continue
		}
		if row.Mode == record.ModePrefill && row.SeqLen != nil && *row.SeqLen >= longPrompt && row.HostGapMS != nil && row.LatencyMS != nil {
			if *row.LatencyMS < longMS {
				short[row.CellID] = true
				continue
			}
			gaps[row.CellID] = append(gaps[row.CellID], *row.HostGapMS / *row.LatencyMS)
		}
		if row.GraphCaptures != nil && *row.GraphCaptures > 0 && !slices.Contains(captured, row.CellID) {
			captured = append(captured, row.CellID)
		}
	}
	r.add(Finding{What: title + ": cells measured", Measured: fmt.Sprintf("%d of %d", ok, len(all)), Verdict: Stated, Where: name + "/report.html"})
	if ok == 0 {
		return
	}
	f := Finding{What: title + ": prefill of 512 tokens", Asked: askedGap, Where: name + "/analysis/device.csv", Verdict: AsExpected}
	if len(gaps) == 0 {
		f.Verdict, f.Why = NotMeasured, fmt.Sprintf("no such cell has device times; %d are shorter than %d ms", len(short), longMS)
	} else {
		worst, cell, wide := 0.0, "", 0
		for id, g := range gaps {
			slices.Sort(g)
			m := g[len(g)/2]
			if m > gapShare || m < -gapShare {
				wide++
			}
			if m > worst || cell == "" {
				worst, cell = m, id
			}
		}
		f.Measured = fmt.Sprintf("largest gap %.1f %% (%s); %d of %d cells beyond; %d shorter", 100*worst, cell, wide, len(gaps), len(short))
		if wide > 0 {
			f.Verdict, f.Why = Differs, "the host's part of the prefill, building the graph and submitting it, is larger than that: see the cells"
		}
	}
	r.add(f)
	f = Finding{What: title + ": CUDA graphs captured in timed repetitions", Asked: "0", Measured: "0", Verdict: AsExpected, Where: name + "/runs.jsonl"}
	if len(captured) > 0 {
		slices.Sort(captured)
		f.Measured, f.Verdict = fmt.Sprintf("in %d cells: %s", len(captured), strings.Join(captured, ", ")), Differs
		f.Why = "the KV cache passed a multiple of 256 positions in these cells, or a graph changes with every step: token_ns shows which"
	}
	r.add(f)

	if !ceilings {
		return
	}
	f = Finding{What: title + ": cells above the measured envelope", Asked: "none", Verdict: NotMeasured, Where: name + "/analysis/regimes.csv", Why: "the run has no ceilings"}
	highest, above := -1.0, 0
	for _, s := range analysis.Get[regimes.Answer](res).Budgets {
		if s.Share == nil {
			continue
		}
		highest = max(highest, *s.Share)
		if *s.Share > 1 {
			above++
		}
	}
	if highest >= 0 {
		f.Measured, f.Verdict, f.Why = fmt.Sprintf("%d; the highest reaches %.1f %%", above, 100*highest), AsExpected, ""
		if above > 0 {
			f.Verdict, f.Why = Differs, "a roof that can be exceeded is no roof: the read probe is too slow at that working set"
		}
	}
	r.add(f)
}

// eightB holds the headline's cell against the read ceiling.
func (r *Report) eightB(dir string) {
	const shareOf8B = 0.60
	f := Finding{What: "decode of the 8B shape in q4_0", Asked: fmt.Sprintf("at least %.0f %% of the read ceiling in bytes per token", 100*shareOf8B),
		Verdict: NotMeasured, Where: eightB + "/analysis/regimes.csv", Why: "no such cell with a share of the ceiling"}
	_, res, err := load(filepath.Join(dir, eightB))
	if err != nil {
		r.missing(f.What, f.Asked, eightB, err)
		return
	}
	for _, s := range analysis.Get[regimes.Answer](res).Budgets {
		if s.Mode == record.ModeDecode && s.Share != nil {
			f.Measured, f.Verdict, f.Why = fmt.Sprintf("%.1f %% (%s, %.3g ms per token)", 100**s.Share, s.Scenario, *s.TimeMS), AsExpected, ""
			if *s.Share < shareOf8B {
				f.Verdict, f.Why = Differs, "the profile says where the rest goes: kernels that do not stream weights, gaps between kernels, the host"
			}
			break // the shortest prompt's comes first
		}
	}
	r.add(f)
}

// callKey is what medians are made of: one model under one backend at one length of prompt.
type callKey struct {
	model, backend string
	prompt         int // tokens
}

// callTimes are medians over measured calls on the GPU.
type callTimes struct{ prefillMS, tokenMS, noSamplingMS, tokensPerS float64 }

func timesOf(dir string) (map[callKey]callTimes, error) {
	run, err := runs.Load(dir)
	if err != nil {
		return nil, err
	}
	samples := map[callKey][4][]float64{}
	for i := range run.Rows {
		row := &run.Rows[i]
		if row.Device != "cuda" || row.Status != record.StatusOK || row.IsWarmup || row.Mode != record.ModeDecode ||
			row.SeqLen == nil || row.PrefillMS == nil || row.KVDecodeMS == nil || row.DecodeNoSampMS == nil || row.GenTokensRaw == nil || row.TokensPerS == nil {
			continue
		}
		key := callKey{row.Model, row.Backend, *row.SeqLen}
		s, steps := samples[key], float64(*row.GenTokensRaw)
		for i, v := range []float64{*row.PrefillMS, *row.KVDecodeMS / steps, *row.DecodeNoSampMS / steps, *row.TokensPerS} {
			s[i] = append(s[i], v)
		}
		samples[key] = s
	}
	out := map[callKey]callTimes{}
	for key, s := range samples {
		out[key] = callTimes{stats.Median(s[0]), stats.Median(s[1]), stats.Median(s[2]), stats.Median(s[3])}
	}
	return out, nil
}

// batches says what decoding sequences together gives.
func (r *Report) batches(dir string) {
	times, err := timesOf(filepath.Join(dir, batches))
	if err != nil {
		return // as the finding about the sweep says
	}
	for _, one := range slices.SortedFunc(maps.Keys(times), func(a, b callKey) int { return cmp.Compare(a.model, b.model) }) {
		most, ok := times[callKey{one.model, "q4_0_bs32", one.prompt}]
		if one.backend == "q4_0_bs1" && ok {
			r.add(Finding{What: "32 sequences together, " + one.model, Verdict: Stated, Where: batches + "/runs.jsonl",
				Measured: fmt.Sprintf("%.4g tokens/s, %.2g times those of one", most.tokensPerS, most.tokensPerS/times[one].tokensPerS)})
		}
	}
}

// memoryWall says which ways of running its sweep saw.
func (r *Report) memoryWall(dir string) {
	const what, asked = "memory wall", "full offload, partial offload and failure all show"
	run, err := runs.Load(filepath.Join(dir, MemoryWallDir))
	if err != nil {
		r.missing(what, asked, MemoryWallDir, err)
		return
	}
	full, partial, failed := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range run.Rows {
		row := &run.Rows[i]
		switch {
		case row.Status == record.StatusOOM:
			failed[row.Model+"/"+row.Backend] = true
		case row.Status != record.StatusOK:
		case row.NGPULayers > row.NLayer:
			full[row.Model+"/"+row.Backend] = true
		default:
			partial[row.Model+"/"+row.Backend] = true
		}
	}
	f := Finding{What: what, Asked: asked, Where: MemoryWallDir + "/report.html", Verdict: AsExpected,
		Measured: fmt.Sprintf("%d pairs of model and backend whole on the GPU, %d in part, %d did not fit", len(full), len(partial), len(failed))}
	if len(full) == 0 || len(partial) == 0 || len(failed) == 0 {
		f.Verdict, f.Why = Differs, "one of the three does not show: the card, the limits or the models that were chosen"
	}
	r.add(f)
}
