package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"llmscale/analysis/finding"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

// readCeilings takes the ceilings that the run stored; runs of older versions,
// and those that did not probe, have none.
func (run *Run) readCeilings() {
	f, err := ceilings.Load(filepath.Join(run.Dir, ceilings.FileName))
	switch {
	case err == nil:
		run.Ceilings = &f
	case !errors.Is(err, fs.ErrNotExist):
		run.warn("broken_ceilings", ceilings.FileName, err.Error(),
			"the shares of the machine's ceilings are not known; everything else holds")
	}
}

// Run is a run folder as it was read: every record that counts, in the order of
// the file.
type Run struct {
	Dir      string
	Harness  string // HarnessLLMScale or HarnessTR121
	Manifest Manifest
	Rows     []Row
	Counts   Counts
	Warnings []finding.Warning
	Ceilings *ceilings.File // of the machine; nil where the run stored none

	LlamaBench []LlamaBench // what llama-bench measured of the run's models; nil where the run stored none

	Profiles []Profile // of models, that lie in the folder

	Shapes map[string]Shape // by model, where a table of shapes lay in the folder
}

// Load reads manifest.json and runs.jsonl of a run folder, of llmscale or of the
// TR121 Python harness, and what else it stored: ceilings.json, llama-bench.jsonl,
// profile.json. Lines that cannot be read are counted and named in
// Warnings; what is left is still an honest part of the run. Where a cell was
// measured again by --resume, an ok record wins over a failed one, one that counts
// over one that is INVALID, and the latest session over earlier ones.
func Load(dir string) (*Run, error) {
	file := filepath.Join(dir, RecordsFile)
	f, err := Open(dir, RecordsFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("analysis: no run folder: %w", err)
		}
		return nil, fmt.Errorf("analysis: %s has no runs.jsonl: not a run folder (or its run was never started)", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("analysis: %w", err)
	}
	defer f.Close()

	run := &Run{Dir: dir, Harness: HarnessTR121}
	run.readManifest(filepath.Join(dir, "manifest.json"))
	var seen []finding.Warning
	if run.Manifest.Decode(&seen, "warnings") { // while it ran
		run.Warnings = append(run.Warnings, seen...)
	}
	run.readCeilings()
	run.readProfiles()
	rows, err := run.readRows(f, f.Size)
	if err != nil {
		return nil, fmt.Errorf("analysis: %s: %w", file, err)
	}
	for i := range rows {
		if rows[i].SchemaVersion > 0 {
			run.Harness = HarnessLLMScale
		}
		if v := rows[i].SchemaVersion; v > record.SchemaVersion {
			run.warn("newer_schema", fmt.Sprintf("runs.jsonl:%d", rows[i].Line),
				fmt.Sprintf("records of schema %d; this program knows %d", v, record.SchemaVersion),
				"analyse the run with the llmscale that measured it, or a newer one")
			break
		}
	}
	run.Rows = run.supersede(rows)
	run.Counts.ByStatus = map[string]int{}
	for i := range run.Rows {
		run.Counts.ByStatus[run.Rows[i].Status]++
	}
	run.Counts.Expected = run.Manifest.Int("records_expected")
	run.Settle()
	if len(run.Rows) == 0 {
		run.warn("no_records", "runs.jsonl", "the run holds no record that can be read", "run it again, or resume it")
	}
	if err := run.readArchitecture(); err != nil {
		return nil, err
	}
	if err := run.readLlamaBench(); err != nil {
		return nil, err
	}
	return run, nil
}

func (run *Run) warn(code, where, text, advice string) {
	run.Warnings = append(run.Warnings, finding.Warning{Code: code, Where: where, Text: text, Advice: advice})
}

func (run *Run) readManifest(file string) {
	data, err := os.ReadFile(file)
	if err == nil {
		run.Manifest, err = ParseManifest(data)
	}
	if err != nil {
		run.warn("no_manifest", "manifest.json", err.Error(),
			"the records stand alone, so the figures hold; the machine and the settings of the run are not known")
	}
}

// Nothing is an error where no record of the run can be read, nil otherwise: an analysis would have nothing to say.
func (run *Run) Nothing() error {
	if len(run.Rows) > 0 {
		return nil
	}
	file := filepath.Join(run.Dir, RecordsFile)
	if n := run.Counts.Broken; n > 0 {
		why := ""
		if i := slices.IndexFunc(run.Warnings, func(w finding.Warning) bool { return w.Code == "broken_line" || w.Code == "torn_line" }); i >= 0 {
			why = fmt.Sprintf(" (%s: %s)", run.Warnings[i].Where, run.Warnings[i].Text)
		}
		return fmt.Errorf("analysis: %s has no usable record: %d lines, none of which can be read%s; mend the file from a copy, or measure again", file, n, why)
	}
	again := "start a new run"
	if run.Manifest.Text("plan_sha256") != "" { // of ours, not of the Python harness
		again = run.Finish() + ", or " + again
	}
	return fmt.Errorf("analysis: %s has no usable record: nothing was measured yet; %s", file, again)
}

// Harnesses whose run folders Load understands.
const (
	HarnessLLMScale = "llmscale"
	HarnessTR121    = "tr121"
)

// KindLlamaBench is the kind of the backends of runs that were imported from
// llama-bench's lines.
const KindLlamaBench = "llama-bench"
