package report

import (
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/calls"
	"llmscale/runner/record"
)

func TestInvalidCalls(t *testing.T) {
	r := small().Result()
	if md, _ := write(t, r); strings.Contains(md, "| INVALID") {
		t.Error("a run without spoilt calls speaks of them")
	}
	size := 5.037
	analysis.Get[calls.Answer](r).Invalid = []calls.InvalidCell{
		{Subject: cells.Subject{Backend: "gpu", Model: "gpt2-5m", ParamsM: &size}, Scenario: "micro", Modes: record.Modes, Repetitions: 2, Warmups: 1, Valid: 5, Reasons: []string{"another program uses the GPU: process 4711 (a|b)"}},
		{Subject: cells.Subject{Backend: "gpu", Model: "gpt2-5m", ParamsM: &size}, Scenario: "short", Modes: record.Modes, Repetitions: 7, Reasons: []string{"x", "y"}},
	}
	md, _ := write(t, r)
	says(t, md, "9 calls are INVALID and left out: verdicts.csv.", "| INVALID: other program | 1 cell | another program uses the GPU: process 4711 (a\\|b) | end what disturbed them", "CUDA_VISIBLE_DEVICES", "| INVALID: disturbed | 1 cell | x |")
}

// TestAnswerOfAMachineThatWasNotAtRest: who reads the answer alone learns what disturbed the run, each kind once.
func TestAnswerOfAMachineThatWasNotAtRest(t *testing.T) {
	r := small().Result()
	r.Warnings = append(r.Warnings, finding.Warning{Code: "few_sizes", Where: "cpu", Text: "three sizes"})
	if md, _ := write(t, r); strings.Contains(md, "not at rest") {
		t.Error("a quiet machine is called disturbed")
	}
	r.Warnings = append(r.Warnings,
		finding.Warning{Code: "machine_load", Where: record.ThisMachine, Text: "load: other programs used 1.7 CPUs (a|b 1.6)"},
		finding.Warning{Code: "machine_load", Where: record.ThisMachine, Text: "load: other programs used 0.4 CPUs"}, // of a later session
		finding.Warning{Code: "cpu_quota", Where: record.ThisMachine, Text: "CPU quota: 1.5 of 2"})
	md, _ := write(t, r)
	answer := section(t, md, "The answer")
	if want := `- The machine was not at rest (load: other programs used 1.7 CPUs (a\|b 1.6); CPU quota: 1.5 of 2).`; !strings.Contains(answer, want) {
		t.Errorf("the answer does not say %q:\n%s", want, answer)
	}
}

// A build that computes wrong results is told before anything else, apart from what the machine spoilt.
func TestWrongResults(t *testing.T) {
	r := small().Result()
	for _, scenario := range []string{"micro", "short"} {
		analysis.Get[calls.Answer](r).Invalid = append(analysis.Get[calls.Answer](r).Invalid, calls.InvalidCell{Subject: cells.Subject{Backend: "cpu_q4_0", Model: "gpt2-5m"}, Scenario: scenario, Modes: record.Modes, Repetitions: 7, Reasons: []string{record.WrongResults.Text("relative L2 0.58")}})
	}
	r.Counts.Invalid = 42
	md, _ := write(t, r)
	says(t, section(t, md, "The answer"), "- This build computes wrong results for gpt2-5m")
	if strings.Contains(md, "spoilt on this machine") {
		t.Error("the machine is blamed for it")
	}
	says(t, md, "| INVALID: wrong results | 2 cells | self-check: relative L2 0.58 | use no figure of this build")
}
