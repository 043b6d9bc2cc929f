// Package ceilings asks how near decode comes to what the run's devices can read.
package ceilings

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
)

// Answer is empty where the run stored no ceilings of its machine.
type Answer struct {
	finding.Notes
	set *cells.Set

	Devices []Device `json:"ceilings,omitempty"`
	Shares  []Share  `json:"ceiling_shares,omitempty"` // of each decode cell
}

// Ask sets decode beside what the run's devices can read.
func Ask(c *cells.Set) *Answer {
	a := &Answer{set: c}
	if f := c.Run.Ceilings; f != nil && len(f.Devices) > 0 {
		a.join(f)
		a.share(f)
		a.aboveCeiling()
	}
	return a
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("ceilings.csv", "How near decode came to the rate at which its device can read: a row for each cell, where the run stored its machine's ceilings (`ceilings.json`).", a.Shares,
			`backend backend_kind batch_size model params_millions_effective scenario device n_threads n weight_bytes_read kv_bytes_read
			ms_per_token_median read_gb_per_s ceiling_gb_per_s ceiling_reached_gb_per_s share share_of_reached reason`),
	}
}

// Sentences are none: the section has them.
func (a *Answer) Sentences() []string { return nil }

// Sections are what the devices can do, and how near decode came to it.
func (a *Answer) Sections() []doc.Section { return []doc.Section{a.section()} }
