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
	"strings"

	"llmscale/analysis/profile"
	"llmscale/runner/ceilings"
)

// Names of what scripts/gpu-check puts into its folder.
const (
	StepsFile      = "steps.tsv" // name, exit code, seconds of each step
	TestsDir       = "tests"     // output of each test program
	MemoryWallDir  = "memory-wall"
	ProfileFile    = "profile/profile.json"
	SanitizerFiles = "sanitizer-*.txt"
	TorchFile      = "torch.jsonl" // scripts/gpu_torch.py writes these two
	TorchCeilings  = "torch-ceilings.json"
	BenchFile      = "llama-bench.jsonl"
)

// sweeps are the run folders. Some have no ceilings of their own.
var sweeps = []struct {
	dir, title string
	ceilings   bool
}{
	{eightB, "8B shape", true}, {"gpt2", "GPT-2 set", true}, {"ladder", "ladder", true}, {"f16", "f16 rungs", true}, {"f16-20b", "20B in f16", true},
	{"modes", "modes", false}, {batches, "batches", false}, {"pace", "hot and cold", false},
}

const eightB, batches = "8b", "batches"

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
	r.eightB(dir)
	r.profile(dir)
	r.probe(dir)
	r.llamaBench(dir)
	r.torch(dir)
	for _, sweep := range sweeps {
		r.run(dir, sweep.dir, sweep.title, sweep.ceilings)
	}
	r.batches(dir)
	r.memoryWall(dir)
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
	if most := d.Rows; len(most) > 0 && d.WorkNS > 0 {
		f.Measured += fmt.Sprintf("; %s takes %.1f %% of the work", most[0].Name, 100*float64(most[0].TotalNS)/float64(d.WorkNS))
	}
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
