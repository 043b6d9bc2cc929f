// Command aa measures what `llmscale compare` says of two backends of which the truth is
// known: small sweeps, each of two equal backends in blocks, and some beside a neighbour
// that keeps one processor busy. With -slow, steps of the second backend are made longer
// by that share. It prints Markdown tables: of the verdicts of compare, and of those that
// cells have by themselves.
//
//	make build && go run ./scripts/aa            40 sweeps, and 10 beside a neighbour that is busy every other second
//	make build && go run ./scripts/aa -quick     3 and 1, of 3 blocks: does it work?
//	make build && go run ./scripts/aa -sweeps 10 -busy 10 -neighbour one
//	                                             is a cell beside a busy process told, and no other?
//	make build && go run ./scripts/aa -slow 0.03 -nine -sweeps 20 -busy 0
//	                                             is 3 % found over the nine GPT-2 sizes?
//
// Needs a machine on which nothing else runs. It leaves the runs in -out; a second call
// with the same -out goes on where the first was stopped.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// sweep is the config of one; what is missing are blocks, the second backend's further
// keys, and models.
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
  - {name: b, dtype: f16%s}
models:
%s`

// plan is what to measure.
type plan struct {
	program, out, models string
	quiet, busy, blocks  int
	neighbour            string  // of Neighbours
	nine                 bool    // the GPT-2 set of nine sizes in place of three
	slow                 float64 // share by which the second backend's steps are longer
}

// sources are the models', by size.
func (p *plan) sources() (out []string) {
	if !p.nine {
		return []string{"ladder:llama/5m", "ladder:llama/14m", "ladder:llama/32m"}
	}
	for _, name := range []string{"tiny-gpt2", "gpt2-5m", "gpt2-1m", "gpt2-25m", "gpt2-45m", "gpt2-50m", "gpt2-75m", "gpt2-100m", "gpt2"} {
		out = append(out, "synth:"+name)
	}
	return out
}

func nameOf(source string) string { return source[strings.LastIndexAny(source, ":/")+1:] }

func (p *plan) config() []byte {
	list := ""
	for _, s := range p.sources() {
		list += fmt.Sprintf("  - {name: %s, source: %q}\n", nameOf(s), s)
	}
	slower := ""
	if p.slow > 0 {
		slower = ", program: ./slower"
	}
	return fmt.Appendf(nil, sweep, p.blocks, slower, list)
}

// slower is a program that is the other one but for the longer steps.
func (p *plan) slower() ([]byte, error) {
	path, err := filepath.Abs(p.program)
	return fmt.Appendf(nil, "#!/bin/sh\nLLMSCALE_TEST_SLOWDOWN=%g exec '%s' \"$@\"\n", p.slow, path), err
}

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

// tally counts over the sweeps of one condition.
type tally struct {
	name     string
	truth    float64        // of the ratios
	sweeps   map[string]int // with such a verdict over all sizes, by verdict
	byCell   map[string]int // with such a verdict on any cell
	phases   map[string]int // phases of all sweeps
	cells    map[string]int
	all      int // sweeps
	held     int // intervals of phases that hold the truth
	findable []float64
	named    []string // phases that are FASTER or SLOWER
}

func newTally(name string, truth float64) *tally {
	return &tally{name: name, truth: truth, sweeps: map[string]int{}, byCell: map[string]int{}, phases: map[string]int{}, cells: map[string]int{}}
}

func (t *tally) add(run string, c *comparison) {
	t.all++
	count := func(effects []effect, each, sweeps map[string]int) {
		seen := map[string]bool{}
		for _, e := range effects {
			each[e.Verdict]++
			if !seen[e.Verdict] {
				sweeps[e.Verdict]++
			}
			seen[e.Verdict] = true
		}
	}
	count(c.Phases, t.phases, t.sweeps)
	count(c.Cells, t.cells, t.byCell)
	for _, e := range c.Phases {
		if e.RatioCI.Low <= t.truth && e.RatioCI.High >= t.truth {
			t.held++
		}
		if e.Verdict == "FASTER" || e.Verdict == "SLOWER" {
			t.named = append(t.named, fmt.Sprintf("%s: %s %s, %.3f (%.3f to %.3f)", run, e.Mode, e.Verdict, e.Ratio, e.RatioCI.Low, e.RatioCI.High))
		}
		t.findable = append(t.findable, e.Findable)
	}
}

func total(of map[string]int) (n int) {
	for _, k := range of {
		n += k
	}
	return n
}

const header = "| machine | sweeps | over all sizes FASTER, SLOWER | any cell FASTER, SLOWER | phases FASTER, SLOWER, SAME, all | cells FASTER, SLOWER, SAME, all | intervals over all sizes that hold the truth | found in 80 %, median |\n" +
	"|---|---:|---:|---:|---:|---:|---:|---:|"

func (t *tally) row() string {
	slices.Sort(t.findable)
	median := 0.0
	if n := len(t.findable); n > 0 {
		median = t.findable[n/2]
	}
	verdicts := func(of map[string]int) string {
		return fmt.Sprintf("%d, %d, %d, %d", of["FASTER"], of["SLOWER"], of["SAME"], total(of))
	}
	return fmt.Sprintf("| %s | %d | %d, %d | %d, %d | %s | %s | %d of %d | %.1f %% |", t.name, t.all, t.sweeps["FASTER"], t.sweeps["SLOWER"],
		t.byCell["FASTER"], t.byCell["SLOWER"], verdicts(t.phases), verdicts(t.cells), t.held, total(t.phases), 100*median)
}

func main() {
	var p plan
	quick := flag.Bool("quick", false, "3 sweeps and 1 beside the neighbour, of 3 blocks")
	flag.IntVar(&p.quiet, "sweeps", 40, "sweeps on the quiet machine")
	flag.IntVar(&p.busy, "busy", 10, "sweeps beside the busy neighbour")
	flag.StringVar(&p.neighbour, "neighbour", alternate, "when it is busy: "+strings.Join(neighbours, ", ")+" (beside the processes of one model of a sweep, each model in its turn)")
	flag.IntVar(&p.blocks, "blocks", 5, "replicates of a sweep")
	flag.BoolVar(&p.nine, "nine", false, "nine GPT-2 sizes in place of three of the ladder")
	flag.Float64Var(&p.slow, "slow", 0, "share by which each step of the second backend is made longer")
	flag.StringVar(&p.program, "program", "bin/llmscale", "the program")
	flag.StringVar(&p.out, "out", "runs/aa-"+time.Now().Format("20060102_150405"), "folder for the runs")
	flag.StringVar(&p.models, "models-dir", "models", "folder for the models")
	flag.Parse()
	if *quick {
		p.quiet, p.busy, p.blocks = 3, 1, 3
	}
	if flag.NArg() > 0 || p.quiet < 0 || p.busy < 0 || p.blocks < 2 || !(p.slow >= 0 && p.slow < 10) || !slices.Contains(neighbours, p.neighbour) {
		fmt.Fprintf(os.Stderr, "aa: it takes no arguments; -sweeps and -busy from 0, -blocks from 2, -slow from 0 to 10, -neighbour %s\n", strings.Join(neighbours, ", "))
		os.Exit(2)
	}
	found, err := p.measure()
	if err != nil {
		fmt.Fprintln(os.Stderr, "aa:", err)
		os.Exit(1)
	}
	found.print(os.Stdout)
}

// result is what was found in both conditions.
type result struct {
	quiet, beside *tally
	cells         []*doubts // of the quiet sweeps, and of the others
}

func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s\n%s\n\n%s\n", header, r.quiet.row(), r.beside.row(), doubtsHeader)
	for _, d := range r.cells {
		fmt.Fprintln(w, d.row())
	}
	for _, line := range slices.Concat(r.quiet.named, r.beside.named) {
		fmt.Fprintln(w, "\n"+line)
	}
}

// measure makes the sweeps of both conditions and counts.
func (p *plan) measure() (*result, error) {
	r := &result{quiet: newTally("quiet", 1+p.slow), beside: newTally("beside a neighbour, "+p.neighbour, 1+p.slow)}
	quiet, hit, spared := newDoubts("quiet"), newDoubts("beside a neighbour, "+p.neighbour), newDoubts("the other models of these sweeps")
	if r.cells = []*doubts{quiet, hit}; p.neighbour == one {
		r.cells = append(r.cells, spared)
	}
	if err := os.MkdirAll(p.out, 0o777); err != nil {
		return nil, err
	}
	config := filepath.Join(p.out, "aa.yaml")
	if err := os.WriteFile(config, p.config(), 0o666); err != nil {
		return nil, err
	}
	if p.slow > 0 {
		script, err := p.slower()
		if err == nil {
			err = os.WriteFile(filepath.Join(p.out, "slower"), script, 0o777)
		}
		if err != nil {
			return nil, err
		}
	}
	for i := range p.quiet + p.busy {
		t, name := r.quiet, fmt.Sprintf("quiet-%02d", i+1)
		model, start := "", func(int) func() { return func() {} }
		if i >= p.quiet {
			k := i - p.quiet
			t, name = r.beside, fmt.Sprintf("busy-%02d", k+1)
			if p.neighbour == one {
				model = nameOf(p.sources()[k%len(p.sources())])
			}
			start = func(pid int) func() { return neighbour(p.neighbour, pid, model) }
		}
		dir := filepath.Join(p.out, name)
		c, err := p.sweep(config, dir, i+1, start)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.add(name, c)
		err = readDoubts(filepath.Join(dir, "analysis", "cell_intervals.csv"), func(of string) *doubts {
			switch {
			case t == r.quiet:
				return quiet
			case model == "" || of == model:
				return hit
			}
			return spared
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, verdicts(c))
	}
	return r, nil
}

func verdicts(c *comparison) string {
	var words []string
	for _, e := range c.Phases {
		words = append(words, fmt.Sprintf("%s %s %.3f", e.Mode, e.Verdict, e.Ratio))
	}
	return strings.Join(words, ", ")
}

// sweep measures one beside what start begins, unless its folder has it, compares its
// backends and analyzes it. start is handed the process that measures.
func (p *plan) sweep(config, dir string, seed int, start func(pid int) (stop func())) (*comparison, error) {
	args := []string{"run", "--resume", dir}
	if _, err := os.Stat(filepath.Join(dir, "manifest.json")); err != nil {
		args = []string{"run", "--config", config, "--models-dir", p.models, "--out", dir, "--seed", fmt.Sprint(seed)}
	}
	var said bytes.Buffer
	run := exec.Command(p.program, args...)
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		return nil, err
	}
	stop := start(run.Process.Pid)
	err := run.Wait()
	stop()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, &said)
	}
	if said, err := exec.Command(p.program, "analyze", "--run-dir", dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("analyze: %w\n%s", err, said)
	}
	found, err := exec.Command(p.program, "compare", dir, "--backends", "a,b", "--json").Output()
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
