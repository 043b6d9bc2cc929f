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
