package device

import (
	"llmscale/analysis/cells"
	"llmscale/runner/record"
)

// Model is one model as one series ran it on a GPU, and which of its cells speak for it.
type Model struct {
	cells.Subject
	Placement       string   `json:"placement"`                  // see Cell; "" where it is not known
	Whole           bool     `json:"whole"`                      // the CPU computes nothing but the lookup of embeddings
	PrefillScenario string   `json:"placement_prefill_scenario"` // whose prefill has most operations on the CPU: a long prompt may be computed elsewhere than a short one
	DecodeScenario  string   `json:"placement_decode_scenario"`
	PeakScenario    string   `json:"vram_peak_scenario"` // whose memory peaks highest
	PeakMode        string   `json:"vram_peak_mode"`
	PeakMiB         *float64 `json:"vram_peak_mib"`

	prefill, decode *Cell // of the placement
	placed          *Cell // the one of these that says it
	peak            *Cell
}

// models lists the models, and marks of each in each mode the cell with the longest
// prompt, in which least of a prefill is a fixed cost.
func (a *Answer) models() {
	type one struct {
		cells.Series
		model string
	}
	type inMode struct {
		one
		mode string
	}
	prompts := map[string]float64{}
	for i := range a.set.Cells {
		if n := a.set.Cells[i].PromptEach(); n != nil {
			prompts[a.set.Cells[i].Scenario] = max(prompts[a.set.Cells[i].Scenario], *n)
		}
	}
	at, longest := map[one]int{}, map[inMode]*Cell{}
	for i := range a.Cells {
		d := &a.Cells[i]
		k := one{d.Series(), d.Model}
		if _, seen := at[k]; !seen {
			at[k] = len(a.Models)
			a.Models = append(a.Models, Model{Subject: d.Subject})
		}
		a.Models[at[k]].add(d)
		if have := longest[inMode{k, d.Mode}]; have == nil || prompts[d.Scenario] > prompts[have.Scenario] {
			longest[inMode{k, d.Mode}] = d
		}
	}
	for _, d := range longest {
		d.LongestPrompt = true
	}
	for i := range a.Models {
		a.Models[i].settle()
	}
}

// add takes a cell of the model.
func (m *Model) add(d *Cell) {
	if m.peak == nil || d.PeakMiB != nil && (m.peak.PeakMiB == nil || *d.PeakMiB > *m.peak.PeakMiB) {
		m.peak = d
	}
	if d.Placement == "" || d.Mode == record.ModeE2E {
		return
	}
	of := &m.decode
	if d.Mode == record.ModePrefill {
		of = &m.prefill
	}
	if *of == nil || d.CPUOps != nil && ((*of).CPUOps == nil || *d.CPUOps > *(*of).CPUOps) {
		*of = d
	}
}

// settle says what its cells come to.
func (m *Model) settle() {
	m.PeakScenario, m.PeakMode, m.PeakMiB = m.peak.Scenario, m.peak.Mode, m.peak.PeakMiB
	if m.prefill != nil {
		m.PrefillScenario = m.prefill.Scenario
	}
	if m.decode != nil {
		m.DecodeScenario = m.decode.Scenario
	}
	m.placed = m.decode
	if m.decode == nil || m.prefill != nil && m.prefill.Placement == PlacedFallback {
		m.placed = m.prefill
	}
	if m.placed != nil {
		m.Placement = m.placed.Placement
		m.Whole = m.Placement == PlacedWhole || m.Placement == PlacedLookup
	}
}
