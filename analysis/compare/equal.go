package compare

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/runs"
)

// check compares what the runs of both sides did with what the first run of base did.
func (w *work) check(base, other Side) error {
	first := base.Runs[0]
	var unequal []string
	answers, same, unknownFiles := 0, 0, false
	for _, s := range []Side{base, other} {
		for _, set := range s.Runs {
			var settings []Difference
			for _, id := range w.cells {
				x, y := first.Group(id.key(base.Backend)), set.Group(id.key(s.Backend))
				if x == y {
					continue
				}
				for _, line := range unequalWork(id, x.Rows, y.Rows) {
					if !slices.Contains(unequal, line) {
						unequal = append(unequal, line)
					}
				}
				unknownFiles = unknownFiles || x.Rows[0].ModelSHA256 == nil || y.Rows[0].ModelSHA256 == nil
				n, k := equalAnswers(x.Rows, y.Rows)
				answers, same = answers+n, same+k
				settings = merge(settings, differing(x.Rows[0], y.Rows[0]))
			}
			settings = merge(settings, machines(first, set))
			if s.Backend != base.Backend || !slices.Contains(base.Runs, set) {
				w.differs = merge(w.differs, settings)
				continue
			}
			for _, d := range settings {
				w.notes = append(w.notes, fmt.Sprintf("the runs of %s differ among themselves in %s: %s and %s", s.Backend, d.Name, d.Base, d.Other))
			}
		}
	}
	if n := len(unequal); n > 0 {
		more := ""
		if n > maxUnequal {
			more = fmt.Sprintf("; and %d more", n-maxUnequal)
		}
		return fmt.Errorf("compare: unequal work is not compared: %s%s", strings.Join(unequal[:min(n, maxUnequal)], "; "), more)
	}
	if unknownFiles {
		w.notes = append(w.notes, "records have no hash of the models' files: that both sides loaded the same is not known")
	}
	if answers > 0 && same < answers {
		w.notes = append(w.notes, fmt.Sprintf("%d of %d answers are equal, token by token: what both compute differs", same, answers))
	}
	return nil
}

func merge(to, more []Difference) []Difference {
	for _, d := range more {
		if !slices.ContainsFunc(to, func(o Difference) bool { return o.Name == d.Name }) {
			to = append(to, d)
		}
	}
	return to
}

// unequalWork lists in what two cells' calls are not the same work. What one side does
// not tell is no difference.
func unequalWork(id CellID, xs, ys []*runs.Row) (out []string) {
	x, y := xs[0], ys[0]
	compare := func(what, a, b string) {
		if a != b && a != "" && b != "" {
			out = append(out, fmt.Sprintf("%s: %s and %s", what, a, b))
		}
	}
	compare("kind", x.BackendKind, y.BackendKind) // through a server, times hold other things
	compare("file of the model "+id.Model, file(x), file(y))
	compare("prompt tokens of "+id.Scenario, count(x.PromptEach()), count(y.PromptEach()))
	compare("depth of "+id.Scenario, strconv.Itoa(x.DepthTokens()), strconv.Itoa(y.DepthTokens()))
	compare("answer tokens of "+id.Scenario, count(x.AnswerTokens()), count(y.AnswerTokens()))
	each(xs, ys, func(x, y *runs.Row) bool {
		if x.PromptTokensHash == nil || y.PromptTokensHash == nil || *x.PromptTokensHash == *y.PromptTokensHash {
			return true
		}
		compare("prompts of "+id.Scenario, prompt(x), prompt(y))
		return false
	})
	return out
}

// each calls f with the calls that both cells have under one number, until it says false.
func each(xs, ys []*runs.Row, f func(x, y *runs.Row) bool) {
	type call struct{ replicate, idx int }
	of := map[call]*runs.Row{}
	for _, x := range xs {
		of[call{x.Replicate, x.CallIdx}] = x
	}
	for _, y := range ys {
		if x := of[call{y.Replicate, y.CallIdx}]; x != nil && !f(x, y) {
			return
		}
	}
}

// equalAnswers counts the calls of decode whose answers can be compared.
func equalAnswers(xs, ys []*runs.Row) (n, same int) {
	if xs[0].Mode != Phases[1] {
		return 0, 0
	}
	each(xs, ys, func(x, y *runs.Row) bool {
		if x.OutputTokensHash != nil && y.OutputTokensHash != nil {
			n++
			if *x.OutputTokensHash == *y.OutputTokensHash {
				same++
			}
		}
		return true
	})
	return n, same
}

func file(r *runs.Row) string {
	if r.ModelSHA256 == nil {
		return ""
	}
	return strings.TrimSpace(r.WeightType + " " + (*r.ModelSHA256)[:min(12, len(*r.ModelSHA256))])
}

func prompt(r *runs.Row) string {
	hash := *r.PromptTokensHash
	out := hash[:min(12, len(hash))]
	if r.PromptSeed != nil {
		out = fmt.Sprintf("%s (seed %d)", out, *r.PromptSeed)
	}
	return out
}

func count(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// differing lists the settings of two records that differ; of the program, what of it.
func differing(x, y *runs.Row) (out []Difference) {
	a, b := cells.SettingsOf(x), cells.SettingsOf(y)
	add := func(name, v, u string) {
		if v != u {
			out = append(out, Difference{name, doc.OrPlain(v), doc.OrPlain(u)})
		}
	}
	for _, name := range a.Differing(b) {
		if name != cells.SettingProgram {
			add(name, a.Get(name).Label, b.Get(name).Label)
			continue
		}
		add(name, a.Get(name).Label, b.Get(name).Label)
		add("llama_commit", x.LlamaCommit, y.LlamaCommit)
		add("llama_source", x.LlamaSource, y.LlamaSource)
		add("build_compiler", x.BuildCompiler, y.BuildCompiler)
		add("build_flags", x.BuildFlags, y.BuildFlags)
		add("cpu_features", x.CPUFeatures, y.CPUFeatures)
	}
	return out
}

// machineFacts are what of a manifest's machine and program may bear on times.
var machineFacts = [][]string{
	{"environment", "cpu"}, {"environment", "logical_cores"}, {"environment", "physical_cores"}, {"environment", "cpu_quota"}, {"environment", "numa_nodes"},
	{"environment", "l3_cache_bytes"}, {"environment", "memory_bytes"}, {"environment", "cpu_governor"}, {"environment", "cpu_turbo"}, {"environment", "hypervisor"},
	{"environment", "kernel"}, {"environment", "transparent_hugepages"}, {"llmscale", "version"},
}

// machines lists in what of these two runs differ.
func machines(x, y *cells.Set) (out []Difference) {
	if x == y {
		return nil
	}
	for _, path := range machineFacts {
		if a, b := x.Run.Manifest.Text(path...), y.Run.Manifest.Text(path...); a != b {
			out = append(out, Difference{path[len(path)-1], doc.OrPlain(a), doc.OrPlain(b)})
		}
	}
	return out
}

// Difference is what the sides have different values of.
type Difference struct {
	Name  string `json:"name"`
	Base  string `json:"base"`
	Other string `json:"other"`
}
