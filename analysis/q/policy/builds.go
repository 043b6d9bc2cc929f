package policy

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// mixedSettings warns of backends whose calls were not all measured in one way: of a
// run that was resumed by another build, or on other terms.
func (a *asker) mixedSettings() {
	first := map[cells.Series]*runs.Row{}
	warned := map[cells.Series]bool{}
	type seen struct { // settings are read once of the records that share them
		cells.Series
		facts  *runs.Facts
		prompt int
	}
	done := map[seen]bool{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		s := cells.SeriesOf(r)
		if !r.Counts() || r.Mode != record.ModeDecode || warned[s] {
			continue
		}
		k := seen{Series: s, facts: r.Facts}
		if n := r.PromptEach(); n != nil {
			k.prompt = *n
		}
		if done[k] {
			continue
		}
		done[k] = true
		if first[s] == nil {
			first[s] = r
			continue
		}
		names := cells.SettingsOf(first[s]).Differing(cells.SettingsOf(r))
		names = slices.DeleteFunc(names, func(n string) bool { return n == cells.SettingDType || n == cells.SettingGPULayers }) // a model's own
		if x, y := first[s].PromptEach(), r.PromptEach(); x != nil && y != nil && (*x == 1) != (*y == 1) {
			names = slices.DeleteFunc(names, func(n string) bool { return n == cells.SettingThreadsBatch }) // one token is computed by decode's threads
		}
		if len(names) > 0 {
			warned[s] = true
			a.out.Warn("mixed_settings", s.Backend,
				fmt.Sprintf("its calls differ in %s, of sessions %d and %d: what joins them is of two things", strings.Join(names, ", "), first[s].Session, r.Session),
				"measure it anew in one run, or compare the two builds as two backends (`program`)")
		}
	}
}

// Build is one program of a run that measured in several.
type Build struct {
	Name        string   `json:"name"` // as the axis has it
	Backends    []string `json:"backends"`
	LlamaCommit string   `json:"llama_commit"`
	LlamaSource string   `json:"llama_source"`
	Compiler    string   `json:"build_compiler"`
	Flags       string   `json:"build_flags"`
	CPUFeatures string   `json:"cpu_features"`
}

// builds lists the programs, where there are several.
func (a *asker) builds() {
	var order []string
	by := map[string]*Build{}
	type seen struct {
		backend string
		facts   *runs.Facts
	}
	done := map[seen]bool{}
	for i := range a.Run.Rows {
		r := &a.Run.Rows[i]
		if k := (seen{r.Backend, r.Facts}); !r.OK() || r.BackendKind != cells.KindNative || done[k] {
			continue
		} else {
			done[k] = true
		}
		v := cells.ValueOf(r, cells.SettingProgram)
		if by[v.ID] == nil {
			order = append(order, v.ID)
			by[v.ID] = &Build{Name: v.Label, LlamaCommit: r.LlamaCommit, LlamaSource: r.LlamaSource, Compiler: r.BuildCompiler, Flags: r.BuildFlags, CPUFeatures: r.CPUFeatures}
		}
		if b := by[v.ID]; !slices.Contains(b.Backends, r.Backend) {
			b.Backends = append(b.Backends, r.Backend)
		}
	}
	if len(order) < 2 {
		return
	}
	for _, id := range order {
		slices.Sort(by[id].Backends)
		a.out.Builds = append(a.out.Builds, *by[id])
	}
	at := func(b Build) int {
		return slices.IndexFunc(a.Series, func(s cells.Series) bool { return slices.Contains(b.Backends, s.Backend) })
	}
	slices.SortFunc(a.out.Builds, func(x, y Build) int { return at(x) - at(y) })
}
