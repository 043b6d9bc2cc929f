package scripts

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Stands for llama-bench and for llmscale: answers what it is asked for, with times that tell which test it was.
// llmscale's take 1.5 times as long, in flash attention off 3 times.
const fakePeer = `#!/usr/bin/env -S python3 -SI
import itertools, json, os, re, sys
arg = lambda name: sys.argv[sys.argv.index(name) + 1]
if sys.argv[1] == "synth":
    open(arg("-o"), "w").write("model")
elif sys.argv[1] == "run":
    text = open(arg("--config")).read()
    entry = lambda key: [dict(re.findall(r"(\w+): ([^,}]+)", l)) for l in text.split(key + ":")[1].split("\nmodels:")[0].split("backends:")[0].splitlines() if "{" in l]
    os.mkdir(arg("--out"))
    with open(arg("--out") + "/runs.jsonl", "w") as f:
        for s, b in itertools.product(entry("scenarios"), entry("backends")):
            x = 1.5 if b["flash_attn"] == "on" else 3
            p, g, d = (int(s.get(k, 0)) for k in ("prompt_tokens", "gen_tokens", "depth"))
            for mode in "prefill", "kv_decode", "e2e_kv":
                f.write(json.dumps({"status": "ok", "mode": mode, "llama_commit": "fake", "scenario": s["name"], "backend": b["name"],
                    "prefill_ms": x * (p + 1000 * d), "decode_no_sampling_ms": x * g * (p + d), "kv_decode_ms": x * g * 9}) + "\n")
else:
    numbers = lambda name: [int(n) for n in arg(name).split(",")]
    for fa, d in itertools.product(arg("-fa").split(","), numbers("-d")):
        for p, n in [(p, 0) for p in numbers("-p") if p] + [(0, n) for n in numbers("-n") if n]:
            print(json.dumps({"build_commit": "fake", "flash_attn": int(fa == "on"), "n_prompt": p, "n_gen": n, "n_depth": d,
                "samples_ns": int(arg("-r")) * [1e6 * (p + 1000 * d if p else n * d)]}))
`

// TestPeersInterval: of ten values the second and the ninth hold the median with 95 % at least, of five no two do.
func TestPeersInterval(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	out, err := exec.Command(python, "-B", "-c", "import peers\nfor n in 5, 6, 10, 20: print(peers.interval([*range(n, 0, -1)], 1))").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "3.0 (1.0–5.0)\n3.5 (1.0–6.0)\n5.5 (2.0–9.0)\n10.5 (6.0–15.0)\n"; string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

// TestPeersRounds: each program has one turn a round, an interrupted call goes on with the turns that are missing,
// and each test of llmscale meets the same one of llama-bench.
func TestPeersRounds(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte(fakePeer), 0o777); err != nil {
		t.Fatal(err)
	}
	peers := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(python, append([]string{"peers.py", "--out", dir, "--models-dir", dir, "--rounds", "2",
			"--llmscale", program, "--llmscale-ollama", program, "--llama-bench", program}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	raw := filepath.Join(dir, "raw.csv")
	turns := func() map[[5]string]int { // lines of each set, round, model, tool, order
		t.Helper()
		f, err := os.Open(raw)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		n := map[[5]string]int{}
		for _, r := range rows[1:] {
			n[[5]string{r[0], r[1], r[3], r[4], r[2]}]++
		}
		return n
	}
	models := "llama-1.2b-q4_0,llama-62m-q4_0"
	peers("ladder", "depth", "--models", models)
	first := turns()
	// The ladder: 62M in each round, 1.2B in each in two turns where 512 tokens have theirs too; depth: 62M. Of three
	// programs in the ladder, two in depth.
	want := map[string]int{"ladder llama-62m-q4_0": 2*2 + 1, "ladder llama-1.2b-q4_0": 2*2 + 1 + 3, "depth llama-62m-q4_0": 2 * 2}
	got := map[string]int{}
	for turn := range first {
		got[turn[0]+" "+turn[2]]++
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s had %d turns, want %d", name, got[name], n)
		}
	}
	text := peers("ladder", "depth", "--models", models, "--tables")
	for _, row := range []string{
		"| llama-62m-q4_0 | flash attention on |" + strings.Repeat(" 1.500 (1.500–1.500) |", 6),
		"| llama-62m-q4_0 | flash attention off |" + strings.Repeat(" 3.000 (3.000–3.000) |", 6),
		"| llama-62m-q4_0 | decode |" + strings.Repeat(" 1.500 (1.500–1.500) |", 4),
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the tables lack %q:\n%s", row, text)
		}
	}

	// A call that was interrupted: the last turns are not there.
	data, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	var kept []string
	for i, line := range lines {
		if i > 0 && strings.HasPrefix(line, "ladder,1,") && strings.Contains(line, ",llama-bench,") {
			continue
		}
		kept = append(kept, line)
	}
	if err := os.WriteFile(raw, []byte(strings.Join(kept, "")), 0o666); err != nil {
		t.Fatal(err)
	}
	if out := peers("ladder", "depth", "--models", models); !strings.Contains(out, " 2 turns,") {
		t.Errorf("went on with\n%s", out)
	}
	data, err = os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.SplitAfter(string(data), "\n"); len(got) != len(lines) {
		t.Errorf("%d lines after going on, %d before", len(got), len(lines))
	}
}
