package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis/predict"
)

const committedLadder = "../../results/2026-11-23-ladder-xeon-2-cores"

// TestPredict: text and JSON of a prediction from a committed run, packed as it is.
func TestPredict(t *testing.T) {
	code, stdout, stderr := llmscale("predict", "--run-dir", committedLadder, "llama-20b", "--without", "llama-9.9b,llama-20b", "--price-per-hour", "0.1")
	for _, want := range []string{"llama-20b: 20.39 billion parameters, q4_0 of llama", "by 11 models of 4.852 to 4734 million parameters", "decode, ms/token", "extrapolated 4.3 times  779.6\n", "price of a million tokens", "fits into the 22.8 GiB"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
	if code != exitDone || stderr != "" || strings.Contains(stdout, "outside") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}

	var a predict.Answer
	code, stdout, stderr = llmscale("predict", "--run-dir", committedLadder, "--params", "3B", "--gen", "16", "--json")
	if err := json.Unmarshal([]byte(stdout), &a); err != nil || code != exitDone || a.Decode.Basis != predict.Interpolated || a.Decode.CI == nil || a.Params < 2.94e9 || a.Params > 3.06e9 || a.Gen != 16 {
		t.Errorf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
	}

	var s predict.Served
	code, stdout, stderr = llmscale("predict", "--run-dir", committedLadder, "--slo", "50ms/token", "--json")
	if err := json.Unmarshal([]byte(stdout), &s); err != nil || code != exitDone || s.Surely == nil || s.Surely.Decode.CI.High > 50 {
		t.Errorf("exit code %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if code, stdout, _ = llmscale("predict", "--run-dir", committedLadder, "--slo", "50ms/token"); code != exitDone || !strings.Contains(stdout, "the largest model that native_cpu_q4_0 serves within 50ms/token") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	if code, stdout, _ = llmscale("predict", "--run-dir", committedLadder, "shape:qwen2.5-0.5b", "--prompt", "512"); code != exitDone || !strings.Contains(stdout, "measure a scenario with prompt_tokens: 512") || !strings.Contains(stdout, "by how much qwen2 differs") {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
}

// TestPriceOfTheConfig: what an hour of the machine costs may stand in the run's config.
func TestPriceOfTheConfig(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(committedLadder)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "manifest.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const before = `"gen_tokens": 32,`
	i := strings.Index(string(data), `"resolved"`)
	priced := string(data[:i]) + strings.Replace(string(data[i:]), before, before+` "price_per_hour": 0.1,`, 1)
	if err := os.WriteFile(path, []byte(priced), 0o666); err != nil {
		t.Fatal(err)
	}
	_, want, _ := llmscale("predict", "--run-dir", committedLadder, "--params", "3B", "--price-per-hour", "0.1")
	if code, stdout, stderr := llmscale("predict", "--run-dir", dir, "--params", "3B"); code != exitDone || stdout != want || !strings.Contains(stdout, "price of a million tokens") {
		t.Errorf("exit code %d\n%s%s\nwant\n%s", code, stdout, stderr, want)
	}
}

func TestPredictWrong(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"shape:llama3.1-8b"}, "--run-dir DIR"},
		{[]string{"--run-dir", t.TempDir(), "--params", "1B"}, "no runs.jsonl"},
		{[]string{"--run-dir", committedLadder}, "one of SOURCE, --params N and --slo TIME"},
		{[]string{"--run-dir", committedLadder, "llama-20b", "--params", "1B"}, "one of SOURCE"},
		{[]string{"--run-dir", committedLadder, "llama-20b", "llama-5m"}, "one of SOURCE"},
		{[]string{"--run-dir", committedLadder, "--params", "many"}, "--params"},
		{[]string{"--run-dir", committedLadder, "--params", "10"}, "no shape of a ladder has 10 parameters; want 2M to 200B"},
		{[]string{"--run-dir", committedLadder, "--params", "1B", "--type", "q4"}, "q4_0"},
		{[]string{"--run-dir", committedLadder, "--params", "1B", "--type", "f16"}, "measured were q4_0"},
		{[]string{"--run-dir", committedLadder, "--params", "1B", "--batch", "0"}, "above 0"},
		{[]string{"--run-dir", committedLadder, "--params", "1B", "--price-per-hour", "-1"}, "want a price above 0"},
		{[]string{"--run-dir", committedLadder, "--slo", "fast"}, "50ms/token"},
		{[]string{"--run-dir", committedLadder, "shape:llama3.1-9b"}, "llama3.1-8b"},
		{[]string{"--run-dir", committedLadder, "absent.gguf"}, "absent.gguf"},
		{[]string{"--run-dir", "../../results/2026-11-30-builds-epyc-2-cores", "--params", "1B"}, "several weight types"},
		{[]string{"--run-dir", committedLadder, "--params", "1B", "--backend", "cpu"}, `no backend "cpu"; it has native_cpu_q4_0`},
		{[]string{"--run-dir", "../../results/2026-11-30-builds-epyc-2-cores", "--params", "1B", "--type", "q4_0"}, "say which is meant, --backend"},
	} {
		code, stdout, stderr := llmscale(append([]string{"predict"}, c.args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %q %q, want %q", c.args, code, stdout, stderr, c.want)
		}
	}
}
