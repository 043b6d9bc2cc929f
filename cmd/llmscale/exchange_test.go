package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis/verify"
)

const measuredRun = "../../results/2026-11-30-threads-epyc-2-cores"

// TestExchangeBadInput: what is wrong is said in one line, and nothing is left.
func TestExchangeBadInput(t *testing.T) {
	run, err := filepath.Abs(measuredRun)
	if err != nil {
		t.Fatal(err)
	}
	notBench := writeFile(t, "notes.jsonl", "{\"model_filename\":\"m.gguf\",\"n_prompt\":1,\"samples_ns\":[5]}\nhello\n")
	empty := t.TempDir()
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"verify"}, "verify needs --run-dir DIR"},
		{[]string{"verify", "--run-dir", "absent"}, "no run folder"},
		{[]string{"verify", "--run-dir", empty}, "not a run folder"},
		{[]string{"verify", "--run-dir", run, "--places", "-1"}, "--places -1: want"},
		{[]string{"verify", "--run-dir", run, "--x-axis", "size"}, `no x axis "size"`},
		{[]string{"export", "--run-dir", run, "-o", "f"}, "export needs --format: gobench, llama-bench or parquet"},
		{[]string{"export", "--run-dir", run, "--format", "csv", "-o", "f"}, `no format "csv"; there are gobench, llama-bench and parquet`},
		{[]string{"export", "--run-dir", run, "--format", "parqet", "-o", "f"}, "did you mean parquet?"},
		{[]string{"export", "--run-dir", run, "--format", "gobench"}, "-o - for stdout"},
		{[]string{"export", "--run-dir", "absent", "--format", "parquet", "-o", "f"}, "no run folder"},
		{[]string{"export", "--run-dir", empty, "--format", "parquet", "-o", "f"}, "no run folder"},
		{[]string{"export", "--run-dir", run, "--format", "gobench", "-o", "absent/f"}, "cannot write absent/f"},
		{[]string{"import", notBench}, "import needs -o DIR"},
		{[]string{"import", "-o", "new"}, "import takes one argument"},
		{[]string{"import", "absent.jsonl", "-o", "new"}, "absent.jsonl"},
		{[]string{"import", notBench, "-o", "new"}, "notes.jsonl: line 2 is not llama-bench's"},
		{[]string{"import", notBench, "-o", run}, "line 2 is not llama-bench's"},
	} {
		code, stdout, stderr := llmscale(c.args...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, %q, %q; want %q", c.args, code, stdout, stderr, c.want)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestExchange goes through the commands: llama-bench's lines of a run become a run,
// whose report verifies, until one digit of it is another.
func TestExchange(t *testing.T) {
	run, err := filepath.Abs(measuredRun)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if code, stdout, stderr := llmscale("export", "--run-dir", run, "--format", "llama-bench", "-o", "bench.jsonl"); code != exitDone || stdout != "" || !strings.Contains(stderr, "left out: 48 records are no test") {
		t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, stdout, stderr := llmscale("import", "bench.jsonl", "-o", "imported"); code != exitDone || stdout != "96 records\nimported\n" {
		t.Fatalf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, _, stderr := llmscale("report", "--run-dir", "imported"); code != exitDone {
		t.Fatal(stderr)
	}
	if code, stdout, stderr := llmscale("verify", "--run-dir", "imported"); code != exitDone || !strings.Contains(stdout, "all that was checked matches") {
		t.Fatalf("exit code %d, %s%s", code, stdout, stderr)
	}
	file := filepath.Join("imported", "analysis", "summary_by_model_backend_mode.csv")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndexAny(string(data), "12345678")
	data[at]++
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := llmscale("verify", "--run-dir", "imported")
	if code != exitFailed || !strings.HasPrefix(stdout, file[len("imported/"):]+": line ") || !strings.Contains(stderr, "imported: 1 place does not match") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
	var v verify.Verdict
	code, stdout, stderr = llmscale("verify", "--json", "--run-dir", "imported")
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != exitFailed || v.Matches || len(v.Mismatches) != 1 || v.Mismatches[0].File != file[len("imported/"):] || !strings.HasPrefix(v.Mismatches[0].Place, "line ") || v.Records != 96 || len(v.Recomputed) == 0 || strings.Contains(stdout, "null") {
		t.Errorf("exit code %d, %v, %s%s", code, err, stdout, stderr)
	}
	for _, format := range []string{"gobench", "parquet"} {
		code, stdout, stderr := llmscale("export", "--run-dir", "imported", "--format", format, "-o", "-")
		if code != exitDone || !strings.Contains(stdout[:10], map[string]string{"gobench": "# llmscale", "parquet": "PAR1"}[format]) {
			t.Errorf("%s: exit code %d, %d bytes, %q", format, code, len(stdout), stderr)
		}
	}
}
