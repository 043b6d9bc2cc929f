// Command aa measures how often `llmscale compare` says FASTER or SLOWER of two
// backends that are the same: small sweeps, each of two equal backends in blocks, and
// some beside a neighbour that keeps one processor busy every other second. It prints a
// Markdown table.
//
//	make build && go run ./scripts/aa            40 sweeps and 10 beside the neighbour
//	make build && go run ./scripts/aa -quick     3 and 1, of 3 blocks: does it work?
//
// Needs a machine on which nothing else runs. It leaves the runs in -out; a second call
// with the same -out goes on where the first was stopped.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// sweep is the config of one; the two backends differ in their names alone.
const sweep = `run_name: aa
gen_tokens: 16
replicates: %d
repetitions: 3
probe: false
scenarios:
  - {name: p16, prompt_tokens: 16}
  - {name: p128, prompt_tokens: 128}
backends:
  - {name: a, dtype: f16}
  - {name: b, dtype: f16}
models:
  - {name: llama-5m, source: ladder:llama/5m}
  - {name: llama-14m, source: ladder:llama/14m}
  - {name: llama-32m, source: ladder:llama/32m}
`

// effect is what is read of an effect in compare's JSON.
type effect struct {
	Mode     string                      `json:"mode"`
	Ratio    float64                     `json:"ratio"`
	RatioCI  struct{ Low, High float64 } `json:"ratio_ci"`
	Findable float64                     `json:"findable"`
	Verdict  string                      `json:"verdict"`
}

type comparison struct {
	Phases []effect `json:"phases"`
	Cells  []effect `json:"cells"`
}

// wrong reports whether two equal backends are told apart.
func (e effect) wrong() bool { return e.Verdict == "FASTER" || e.Verdict == "SLOWER" }

// tally counts over the sweeps of one condition.
type tally struct {
	name           string
	sweeps         int
	phases, cells  int // effects judged
	held           int // intervals of phases that hold 1
	wrongPhases    int
	wrongCells     int
	sweepsByPhases int // with a false verdict over all sizes
	sweepsByCells  int // with one on any cell
	same           int // phases
	findable       []float64
	named          []string
}

func (t *tally) add(run string, c *comparison) {
	t.sweeps++
	count := func(effects []effect, judged, wrong, sweeps *int) {
		before := *wrong
		for _, e := range effects {
			*judged++
			if e.wrong() {
				*wrong++
			}
		}
		if *wrong > before {
			*sweeps++
		}
	}
	count(c.Phases, &t.phases, &t.wrongPhases, &t.sweepsByPhases)
	count(c.Cells, &t.cells, &t.wrongCells, &t.sweepsByCells)
	for _, e := range c.Phases {
		if e.RatioCI.Low <= 1 && e.RatioCI.High >= 1 {
			t.held++
		}
		if e.Verdict == "SAME" {
			t.same++
		}
		if e.wrong() {
			t.named = append(t.named, fmt.Sprintf("%s: %s %s, %.3f (%.3f to %.3f)", run, e.Mode, e.Verdict, e.Ratio, e.RatioCI.Low, e.RatioCI.High))
		}
		t.findable = append(t.findable, e.Findable)
	}
}

func (t *tally) row() string {
	slices.Sort(t.findable)
	median := 0.0
	if n := len(t.findable); n > 0 {
		median = t.findable[n/2]
	}
	return fmt.Sprintf("| %s | %d | %d of %d | %d of %d | %d of %d | %d of %d | %d of %d | %.1f %% |", t.name, t.sweeps,
		t.sweepsByPhases, t.sweeps, t.sweepsByCells, t.sweeps, t.wrongCells, t.cells, t.held, t.phases, t.same, t.phases, 100*median)
}

func main() {
	quick := flag.Bool("quick", false, "3 sweeps and 1 beside the neighbour, of 3 blocks")
	pairs := flag.Int("sweeps", 40, "sweeps on the quiet machine")
	busy := flag.Int("busy", 10, "sweeps beside the busy neighbour")
	blocks := flag.Int("blocks", 5, "replicates of a sweep")
	program := flag.String("program", "bin/llmscale", "the program")
	out := flag.String("out", "runs/aa-"+time.Now().Format("20060102_150405"), "folder for the runs")
	models := flag.String("models-dir", "models", "folder for the models")
	flag.Parse()
	if *quick {
		*pairs, *busy, *blocks = 3, 1, 3
	}
	if flag.NArg() > 0 || *pairs < 0 || *busy < 0 || *blocks < 2 {
		fmt.Fprintln(os.Stderr, "aa: it takes no arguments, -sweeps and -busy from 0, -blocks from 2")
		os.Exit(2)
	}
	quiet, beside, err := measure(*program, *out, *models, *pairs, *busy, *blocks)
	if err != nil {
		fmt.Fprintln(os.Stderr, "aa:", err)
		os.Exit(1)
	}
	fmt.Println("| machine | sweeps | FASTER or SLOWER over all sizes | on any cell | cells FASTER or SLOWER | intervals over all sizes that hold 1 | phases SAME within 1 % | found in 80 %, median |")
	fmt.Println("|---|---:|---:|---:|---:|---:|---:|---:|")
	fmt.Println(quiet.row())
	fmt.Println(beside.row())
	for _, line := range slices.Concat(quiet.named, beside.named) {
		fmt.Println("\n" + line)
	}
}

// measure makes the sweeps of both conditions and counts.
func measure(program, out, models string, pairs, busy, blocks int) (quiet, beside *tally, err error) {
	quiet, beside = &tally{name: "quiet"}, &tally{name: "beside a busy neighbour"}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return nil, nil, err
	}
	config := filepath.Join(out, "aa.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, sweep, blocks), 0o666); err != nil {
		return nil, nil, err
	}
	for i := range pairs + busy {
		t, name := quiet, fmt.Sprintf("quiet-%02d", i+1)
		if i >= pairs {
			t, name = beside, fmt.Sprintf("busy-%02d", i-pairs+1)
		}
		c, err := one(program, config, filepath.Join(out, name), models, i+1, t == beside)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		t.add(name, c)
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, verdicts(c))
	}
	return quiet, beside, nil
}

func verdicts(c *comparison) string {
	var words []string
	for _, e := range c.Phases {
		words = append(words, fmt.Sprintf("%s %s %.3f", e.Mode, e.Verdict, e.Ratio))
	}
	return strings.Join(words, ", ")
}

// one measures a sweep, unless its folder has it, and compares its backends.
func one(program, config, dir, models string, seed int, busy bool) (*comparison, error) {
	args := []string{"run", "--resume", dir}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err != nil {
		args = []string{"run", "--config", config, "--models-dir", models, "--out", dir, "--seed", fmt.Sprint(seed)}
	}
	stop := func() {}
	if busy {
		stop = neighbour()
	}
	said, err := exec.Command(program, args...).CombinedOutput()
	stop()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, said)
	}
	found, err := exec.Command(program, "compare", dir, "--backends", "a,b", "--json").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, fmt.Errorf("compare: %w\n%s", err, exit.Stderr)
		}
		return nil, err
	}
	c := &comparison{}
	return c, json.Unmarshal(found, c)
}

// neighbour keeps one processor busy for every other second, in this process, until it
// is stopped.
func neighbour() (stop func()) {
	var over atomic.Bool
	go func() {
		for !over.Load() {
			for end := time.Now().Add(time.Second); time.Now().Before(end) && !over.Load(); {
			}
			time.Sleep(time.Second)
		}
	}()
	return func() { over.Store(true) }
}
