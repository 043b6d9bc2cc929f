package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis/compare"
	"llmscale/runner/record"
)

// compareFolder writes a run of two models and three blocks, in which the last backend
// is slower by 20 %, give or take half a percent from block to block.
func compareFolder(t *testing.T, id string, backends ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), id)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for block := range 3 {
		for m, size := range []float64{10, 100} {
			for b, backend := range backends {
				for rep := range 3 {
					for _, mode := range record.Modes {
						r := record.Record{Origin: record.Origin{SchemaVersion: record.SchemaVersion, RunID: id}, Order: record.Order{Replicate: block}}
						r.Subject = record.Subject{Scenario: "s", Backend: backend, BackendKind: "native", Model: fmt.Sprintf("m%d", m), ModelSHA256: new(strings.Repeat("ab", 32)), ParamsMillions: size, BatchSizeConfig: 1}
						r.Outcome = record.Outcome{CallIdx: rep, Rep: new(rep), Mode: mode, Status: record.StatusOK}
						ms := size * (1 + .005*float64(block*b))
						if len(backends) > 1 && b == len(backends)-1 {
							ms *= 1.2
						}
						r.LatencyMS = &ms
						line, err := json.Marshal(r)
						if err != nil {
							t.Fatal(err)
						}
						lines.Write(append(line, '\n'))
					}
				}
			}
		}
	}
	for name, content := range map[string][]byte{"runs.jsonl": lines.Bytes(), "manifest.json": []byte(`{"run_id": "` + id + `"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCompare(t *testing.T) {
	run := compareFolder(t, "one", "old", "new")
	plots := filepath.Join(t.TempDir(), "plots")
	code, stdout, stderr := llmscale("compare", run, "--backends", "old,new", "--cells", "--plot", plots)
	if code != exitDone || stderr != "" || !strings.Contains(stdout, "new against old: 3 blocks of 2 sizes (10 to 100 million parameters), 1 scenario\n") || strings.Count(stdout, "SLOWER") != 2+1+4 {
		t.Errorf("exit code %d: %s%s", code, stderr, stdout)
	}
	for _, name := range []string{"compare.png", "compare.svg"} {
		if info, err := os.Stat(filepath.Join(plots, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "compare.html")
	if code, _, stderr := llmscale("compare", run, "--backends", "old,new", "--html", file, "--figures", "drawn"); code != exitDone || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">Prefill and decode are slower</h2>", "<svg", "SLOWER", "<td>m1</td>", "each of 4 cells"} {
		if !strings.Contains(strings.ReplaceAll(string(page), "Each of", "each of"), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	code, stdout, stderr = llmscale("compare", "--json", "--backends", "new,old", "--threshold", "2%", run)
	var c compare.Comparison
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != exitDone || c.Threshold != .02 || len(c.Phases) != 2 || c.Phases[1].Verdict != compare.Faster || len(c.Cells) != 4 {
		t.Errorf("exit code %d, %v: %s%s", code, err, stderr, stdout)
	}
	again, third := compareFolder(t, "two", "old"), compareFolder(t, "three", "other")
	code, stdout, stderr = llmscale("compare", run+","+again, third, "--backends", "old,other")
	if code != exitDone || !strings.Contains(stdout, "other against old: 1 against 2 runs of 2 sizes") || !strings.Contains(stdout, "all sizes") || strings.Contains(stdout, "< 0.001") {
		t.Errorf("exit code %d: %s%s", code, stderr, stdout)
	}
	if code, stdout, stderr := llmscale("compare", again, third); code != exitDone { // each has but one backend
		t.Errorf("exit code %d: %s%s", code, stderr, stdout)
	}
}

// TestCompareRefuses: bad flags, folders and backends are told as what they are.
func TestCompareRefuses(t *testing.T) {
	run, three := compareFolder(t, "one", "old", "new"), compareFolder(t, "three", "a", "b", "c")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "compare takes one run and --backends, or two runs"},
		{[]string{run, run, run}, "not 3 arguments"},
		{[]string{run, "--backends", "old"}, "name two of its backends, --backends BASE,OTHER"},
		{[]string{three}, "has a, b and c"},
		{[]string{run, "--backends", "old,newer"}, `no backend "newer"; did you mean "new"?`},
		{[]string{run, "--backends", "old,old"}, `"old" stands on both sides`},
		{[]string{run, "--backends", "old,,new"}, "want two names with a comma between"},
		{[]string{run, "--backends", "a,b,c"}, "want two names with a comma between"},
		{[]string{run, three}, "say which by --backends NAME, or --backends BASE,OTHER"},
		{[]string{run, run, "--backends", "old,new"}, "are one run"},
		{[]string{run + ",", three, "--backends", "old,a"}, "one comma between two"},
		{[]string{run + "-gone", run}, "there is no "},
		{[]string{run, "--threshold", "0"}, "a threshold of 0 %; want 0.01 to 50 %"},
		{[]string{run, "--threshold", "90"}, "a threshold of 90 %"},
		{[]string{run, "--threshold", "much"}, `--threshold "much": want a number of percent, as 1`},
	} {
		code, stdout, stderr := llmscale(append([]string{"compare"}, c.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, want %q: %s%s", c.args, code, c.want, stdout, stderr)
		}
	}
}
