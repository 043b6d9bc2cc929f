// Package gpucheck reads the folder that scripts/gpu-check leaves behind and says,
// expectation by expectation, what was asked of the GPU and what was measured. It
// measures nothing and assumes nothing: what is not in the folder is "not
// measured", and what differs from what was expected says so.
//
// It is part of the program, as its command gpu-report, because the machine with the
// GPU has no Go and gets one program: with it scripts/gpu-check ends with its report
// there. What it holds against the expectations are the answers of the analysis.
package gpucheck

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/profile"
	"llmscale/analysis/q/regimes"
	"llmscale/analysis/runs"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// Names of what scripts/gpu-check puts into its folder.
const (
	StepsFile      = "steps.tsv" // name, exit code, seconds of each step
	TestsDir       = "tests"     // output of each test program
	ScalingDir     = "scaling"   // run folders
	LadderDir      = "ladder"
	MemoryWallDir  = "memory-wall"
	ProfileFile    = "profile/profile.json"
	SanitizerFiles = "sanitizer-*.txt"
)

// Verdicts of a Finding.
const (
	AsExpected  = "as expected"
	Differs     = "differs"
	NotMeasured = "not measured"
	Stated      = "stated" // a figure that nothing was expected of
)

// Finding is one line of the report.
type Finding struct {
	What     string `json:"what"`
	Asked    string `json:"asked"`    // "" where nothing was
	Measured string `json:"measured"` // "" where nothing was
	Verdict  string `json:"verdict"`
	Where    string `json:"where"` // in the folder
	Why      string `json:"why"`   // of a verdict that is neither as expected nor stated
}

// Step is one part of the check.
type Step struct {
	Name     string  `json:"name"`
	ExitCode int     `json:"exit_code"`
	Seconds  float64 `json:"seconds"`
}

// Report is what the folder says.
type Report struct {
	Device   *ceilings.Device `json:"device"` // as the whole probe found it; nil without one
	Steps    []Step           `json:"steps"`
	Findings []Finding        `json:"findings"`
}

// Read looks through the folder. Its error is one of a folder that is none of
// gpu-check's; what is missing in it is in the findings.
func Read(dir string) (*Report, error) {
	steps, err := readSteps(filepath.Join(dir, StepsFile))
	if err != nil {
		return nil, fmt.Errorf("gpucheck: %s is not a folder of gpu-check: %w", dir, err)
	}
	r := &Report{Steps: steps}
	r.failures(dir)
	r.tests(dir)
	r.probe(dir)
	r.run(dir, ScalingDir, "GPT-2 set")
	r.run(dir, LadderDir, "ladder")
	r.memoryWall(dir)
	r.profile(dir)
	r.sanitizer(dir)
	return r, nil
}

func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }

// missing adds a finding about what is not in the folder.
func (r *Report) missing(what, asked, where string, err error) {
	r.add(Finding{What: what, Asked: asked, Verdict: NotMeasured, Where: where, Why: err.Error()})
}

func readSteps(path string) ([]Step, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var steps []Step
	s := bufio.NewScanner(f)
	for s.Scan() {
		var step Step
		name, rest, ok := strings.Cut(s.Text(), "\t")
		if _, err := fmt.Sscanf(rest, "%d\t%f", &step.ExitCode, &step.Seconds); !ok || err != nil {
			return nil, fmt.Errorf("%s: line %d is not a step: %q", path, len(steps)+1, s.Text())
		}
		step.Name = name
		steps = append(steps, step)
	}
	return steps, s.Err()
}

// failures says of each step that failed how, with the last line of its log. Exit
// code 3 is a sweep in which models ran out of memory, which is a result.
func (r *Report) failures(dir string) {
	for _, s := range r.Steps {
		if s.ExitCode == 0 || s.ExitCode == 3 || strings.HasPrefix(s.Name, "tests-") || strings.HasPrefix(s.Name, "sanitizer-") {
			continue // those have findings of their own
		}
		f := Finding{What: "step " + s.Name, Asked: "done", Measured: fmt.Sprintf("exit code %d after %.0f s", s.ExitCode, s.Seconds), Verdict: Differs, Where: s.Name + ".log"}
		if s.ExitCode == 124 || s.ExitCode == 137 {
			f.Why = "there was not enough time for it"
		} else if data, err := os.ReadFile(filepath.Join(dir, f.Where)); err != nil {
			f.Why = err.Error()
		} else {
			lines := strings.Split(strings.TrimSpace(string(data)), "\n")
			f.Why = lines[len(lines)-1]
		}
		r.add(f)
	}
}

// tests counts the tests that passed, failed and were skipped in each log.
func (r *Report) tests(dir string) {
	const what, asked = "tests on the GPU", "all pass"
	logs, err := filepath.Glob(filepath.Join(dir, TestsDir, "*.txt"))
	if err == nil && len(logs) == 0 {
		err = errors.New("no test ran")
	}
	if err != nil {
		r.missing(what, asked, TestsDir, err)
		return
	}
	for _, log := range logs {
		where := filepath.Join(TestsDir, filepath.Base(log))
		data, err := os.ReadFile(log)
		if err != nil {
			r.missing(what, asked, where, err)
			continue
		}
		var failed []string
		passed, skipped, whole := 0, 0, false
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "--- PASS"):
				passed++
			case strings.HasPrefix(line, "--- SKIP"):
				skipped++
			case strings.HasPrefix(line, "--- FAIL: "):
				name, _, _ := strings.Cut(strings.TrimPrefix(line, "--- FAIL: "), " ")
				failed = append(failed, name)
			case line == "PASS", line == "FAIL":
				whole = true
			}
		}
		f := Finding{What: "tests: " + strings.TrimSuffix(filepath.Base(log), ".txt"), Asked: asked, Where: where, Verdict: AsExpected,
			Measured: fmt.Sprintf("%d passed, %d failed, %d skipped", passed, len(failed), skipped)}
		switch {
		case len(failed) > 0:
			f.Verdict, f.Why = Differs, "failed: "+strings.Join(failed, ", ")
		case !whole:
			f.Verdict, f.Why = Differs, "the log ends before the tests did"
		case passed == 0:
			f.Verdict, f.Why = NotMeasured, "every test was skipped: the log says why"
		}
		r.add(f)
	}
}

// probe holds the card's ceilings against what is known of such cards.
func (r *Report) probe(dir string) {
	const readShare, launchUS = 0.92, 3.0 // docs/gpu.md has the sources
	askedRead := fmt.Sprintf("at least %.0f %% of the card's peak", 100*readShare)
	askedLaunch := fmt.Sprintf("near 2 us, at most %g", launchUS)
	f, err := ceilings.Load(filepath.Join(dir, ceilings.FileName))
	if err == nil {
		for i := range f.Devices {
			if f.Devices[i].Kind == ceilings.CUDA {
				r.Device = &f.Devices[i]
			}
		}
		if r.Device == nil {
			err = errors.New("the probe has no GPU in it")
		}
	}
	if err != nil {
		r.missing("read bandwidth", askedRead, ceilings.FileName, err)
		r.missing("back-to-back launch", askedLaunch, ceilings.FileName, err)
		return
	}
	best := map[string]ceilings.Bandwidth{} // by operation, over working sets that no cache holds
	const beyondCaches = 1 << 30
	for _, b := range r.Device.Bandwidth {
		if b.WorkingSetB >= beyondCaches && b.BytesPerS > best[b.Op].BytesPerS {
			best[b.Op] = b
		}
	}
	for _, op := range []string{ceilings.Read, ceilings.Write, ceilings.Copy, ceilings.Triad} {
		b, ok := best[op]
		finding := Finding{What: op + " bandwidth", Where: ceilings.FileName, Verdict: Stated}
		if op == ceilings.Read {
			finding.Asked = askedRead
		}
		if !ok {
			finding.Verdict, finding.Why = NotMeasured, "no working set of 1 GiB or more: "+r.Device.NotMeasured["bandwidth"]
			r.add(finding)
			continue
		}
		finding.Measured = fmt.Sprintf("%.0f GB/s", b.BytesPerS/1e9)
		if peak := r.Device.PeakBytesPerS; peak != nil && *peak > 0 {
			finding.Measured += fmt.Sprintf(", %.1f %% of %.0f", 100*b.BytesPerS / *peak, *peak/1e9)
			if op == ceilings.Read {
				finding.Verdict = AsExpected
				if b.BytesPerS < readShare**peak {
					finding.Verdict, finding.Why = Differs, "below what tuned read kernels reach on such cards: the kernel, its launch shape, or the memory clock (in the file)"
				}
			}
		} else if op == ceilings.Read {
			finding.Verdict, finding.Why = NotMeasured, "the driver gives no memory clock to reckon the peak from"
		}
		r.add(finding)
	}
	for _, how := range []string{ceilings.LaunchBackToBack, ceilings.LaunchGraph, ceilings.LaunchIsolated} {
		finding := Finding{What: "launch, " + strings.ReplaceAll(how, "_", " "), Where: ceilings.FileName, Verdict: NotMeasured, Why: "not in the file"}
		if how == ceilings.LaunchBackToBack {
			finding.Asked = askedLaunch
		}
		for _, l := range r.Device.Launch {
			if l.How == how {
				finding.Measured, finding.Verdict, finding.Why = fmt.Sprintf("%.2f us", l.US), Stated, ""
				if how == ceilings.LaunchBackToBack {
					finding.Verdict = AsExpected
					if l.US > launchUS {
						finding.Verdict, finding.Why = Differs, "a slower driver path or host than those the expectation comes from"
					}
				}
			}
		}
		r.add(finding)
	}
	if len(r.Device.Wrong) > 0 {
		r.add(Finding{What: "kernels' answers", Asked: "right", Measured: "wrong: " + strings.Join(r.Device.Wrong, ", "), Verdict: Differs, Where: ceilings.FileName,
			Why: "their figures are left out"})
	} else {
		r.add(Finding{What: "kernels' answers", Asked: "right", Measured: "all right", Verdict: AsExpected, Where: ceilings.FileName})
	}
}

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
func (r *Report) run(dir, name, title string) {
	const (
		gapShare   = 0.03 // of prefill's host time
		longMS     = 10   // a prefill that is shorter is as much the host's work as the GPU's
		shareOf8B  = 0.60 // of the read ceiling
		eightB     = "llama3.1-8b"
		longPrompt = 512 // below it a launch is as long as the phase
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
	if name != LadderDir {
		return
	}
	f = Finding{What: "decode of the 8B shape in q4_0", Asked: fmt.Sprintf("at least %.0f %% of the read ceiling in bytes per token", 100*shareOf8B),
		Verdict: NotMeasured, Where: name + "/analysis/regimes.csv", Why: "no such cell with a share of the ceiling"}
	for _, s := range analysis.Get[regimes.Answer](res).Budgets {
		if s.Model == eightB && s.Mode == record.ModeDecode && s.Share != nil {
			f.Measured, f.Verdict, f.Why = fmt.Sprintf("%.1f %% (%s, %.3g ms per token)", 100**s.Share, s.Scenario, *s.TimeMS), AsExpected, ""
			if *s.Share < shareOf8B {
				f.Verdict, f.Why = Differs, "the profile says where the rest goes: kernels that do not stream weights, gaps between kernels, the host"
			}
			break // the shortest prompt's comes first
		}
	}
	r.add(f)
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

// profile quotes kernels per token.
func (r *Report) profile(dir string) {
	const what, asked = "profile by CUPTI", "kernels recorded in every decode step"
	data, err := os.ReadFile(filepath.Join(dir, ProfileFile))
	var doc struct {
		Model   string           `json:"model"`
		Device  string           `json:"device"`
		Profile *profile.Profile `json:"profile"`
	}
	if err == nil {
		err = json.Unmarshal(data, &doc)
	}
	if err == nil && (doc.Profile == nil || len(doc.Profile.Phases) < 2 || doc.Device != "cuda") {
		err = errors.New("the file holds no profile of decode steps on a GPU")
	}
	if err != nil {
		r.missing(what, asked, ProfileFile, err)
		return
	}
	d := &doc.Profile.Phases[1]
	f := Finding{What: what, Asked: asked, Where: ProfileFile, Verdict: AsExpected,
		Measured: fmt.Sprintf("%d to %d kernels per token of %s, GPU busy %.1f %% of the profiled steps", d.PerStepMin, d.PerStepMax, doc.Model, 100*d.BusyShare)}
	if d.PerStepMin == 0 || !doc.Profile.Complete {
		f.Verdict, f.Why = Differs, "records are missing: "+strings.Join(doc.Profile.Warnings, "; ")
	}
	r.add(f)
}

// sanitizer reads what compute-sanitizer printed.
func (r *Report) sanitizer(dir string) {
	const asked = "no errors"
	logs, err := filepath.Glob(filepath.Join(dir, SanitizerFiles))
	if err == nil && len(logs) == 0 {
		err = fmt.Errorf("compute-sanitizer did not run: %w", fs.ErrNotExist)
	}
	if err != nil {
		r.missing("compute-sanitizer", asked, SanitizerFiles, err)
		return
	}
	for _, log := range logs {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(log), "sanitizer-"), ".txt")
		f := Finding{What: "compute-sanitizer " + name, Asked: asked, Where: filepath.Base(log), Verdict: NotMeasured, Why: "the log has no summary"}
		data, err := os.ReadFile(log)
		if err != nil {
			f.Why = err.Error()
		}
		for line := range strings.Lines(string(data)) {
			if _, summary, ok := strings.Cut(line, "SUMMARY: "); ok {
				f.Measured, f.Verdict, f.Why = strings.TrimSpace(summary), AsExpected, ""
				if !strings.HasPrefix(summary, "0 errors") && !strings.Contains(summary, "(0 errors") {
					f.Verdict, f.Why = Differs, "see the log"
				}
			}
		}
		// Kernels that never ran have no errors either.
		if f.Verdict == AsExpected && !strings.Contains(string(data), "--- PASS: TestProbe") {
			f.Verdict, f.Why = Differs, "the probe did not pass under it: see the log"
		}
		r.add(f)
	}
}
