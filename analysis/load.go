package analysis

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"llmscale/analysis/finding"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
)

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

	arch map[string]architecture // by model, where a table of shapes lay in the folder
}

// Row is one line of runs.jsonl: llmscale's record, and the field that only the
// TR121 harness writes.
type Row struct {
	record.Record
	Line int `json:"-"` // in runs.jsonl, from 1

	ParamsMillionsMeasured *float64 `json:"params_millions_measured"`
}

// architecture is a line of TR121's hf_model_architecture.csv.
type architecture struct {
	configPath                              string
	nLayer, nEmbd, nHead, nFF, nVocab, nCtx int
}

// Load reads manifest.json and runs.jsonl of a run folder, of llmscale or of the
// TR121 Python harness, and what else it stored: ceilings.json, llama-bench.jsonl. Lines that cannot be read are counted and named in
// Warnings; what is left is still an honest part of the run. Where a cell was
// measured again by --resume, an ok record wins over a failed one, one that counts
// over one that is INVALID, and the latest session over earlier ones.
func Load(dir string) (*Run, error) {
	file := filepath.Join(dir, "runs.jsonl")
	f, err := os.Open(file)
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
	rows, err := run.readRows(f)
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
	run.settled()
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

// settled compares the records with the plan. Lines do not tell: a cell that ran
// out of memory has three in place of all its calls', and a resumed one is warmed
// up again.
func (run *Run) settled() {
	tasks, reps := run.Manifest.Int("task_count"), run.Manifest.Int("repetitions")
	if tasks == nil || reps == nil || *tasks < 0 || *reps < 0 || *tasks > math.MaxInt32 || *reps > math.MaxInt32 {
		return
	}
	type pair struct{ task, rep int }
	type call struct{ whole, counts bool }
	calls := map[pair]call{}
	failed := map[int]string{} // status of a task's failures; a final one goes before others
	for i := range run.Rows {
		switch r := &run.Rows[i]; {
		case r.ok():
			if r.IsWarmup || r.Rep == nil {
				continue
			}
			// The record of e2e_kv is a call's last: without it the writing was cut off.
			p := pair{r.TaskIdx, *r.Rep}
			c := calls[p]
			c.whole, c.counts = c.whole || r.Mode == record.ModeE2E, c.counts || r.counts()
			calls[p] = c
		case !final(failed[r.TaskIdx]):
			failed[r.TaskIdx] = r.Status
		}
	}
	n := Repetitions{Planned: *tasks * *reps}
	perTask := map[int]int{}
	for p, c := range calls {
		switch {
		case !c.whole:
			continue
		case c.counts: // in one mode at least: --resume does not make it again
			n.Measured++
		default:
			n.Invalid++
		}
		perTask[p.task]++
	}
	for task, status := range failed {
		if open := max(0, *reps-perTask[task]); final(status) {
			n.Final += open
		} else {
			n.Failed += open
		}
	}
	run.Counts.Repetitions = &n
	if missing := max(0, n.Missing()); missing+n.Failed > 0 {
		run.warn("incomplete", "runs.jsonl",
			fmt.Sprintf("of %d planned repetitions (of all cells) %d were not made, and %d belong to cells that crashed, timed out or gave an error", n.Planned, missing, n.Failed),
			"finish the run with `llmscale run --resume`, which makes those calls and tries failed cells again; until then they are simply absent")
	}
}

// final reports whether a status is a result that leaves nothing to be measured.
// (--resume looks again at a cell that was ruled out untried, in case there is
// more memory now; that does not make the run incomplete.)
func final(status string) bool {
	return status == record.StatusOOM || status == record.StatusWaived
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

// maxBrokenWarnings bounds how many broken lines are named one by one.
const maxBrokenWarnings = 20

func (run *Run) readRows(r io.Reader) ([]Row, error) {
	var rows []Row
	badFields := map[string]int{}
	br := bufio.NewReaderSize(r, 1<<20)
	for line := 1; ; line++ {
		data, err := br.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		whole := err == nil // ended by a newline
		data = bytes.TrimSpace(data)
		if len(data) > 0 {
			run.Counts.Lines++
			row, bad, perr := parseRow(data)
			row.Line = line
			switch {
			case perr == nil:
				rows = append(rows, row)
				if bad != "" {
					badFields[bad]++
					if badFields[bad] == 1 {
						run.warn("bad_field", fmt.Sprintf("runs.jsonl:%d", line),
							fmt.Sprintf("field %s has a value of the wrong type; it is taken as not measured (first of its kind)", bad),
							"correct the line, or leave it: the other fields are used")
					}
				}
			case !whole:
				run.Counts.Broken++
				run.warn("torn_line", fmt.Sprintf("runs.jsonl:%d", line),
					"the last line is incomplete: the run was cut off while writing it",
					"nothing to repair: --resume measures that call again")
			default:
				run.Counts.Broken++
				if run.Counts.Broken <= maxBrokenWarnings {
					run.warn("broken_line", fmt.Sprintf("runs.jsonl:%d", line),
						fmt.Sprintf("not a record: %v", perr),
						"the line is left out of every figure; check the disk, or what else wrote to the file")
				}
			}
		}
		if !whole {
			break
		}
	}
	if n := run.Counts.Broken; n > maxBrokenWarnings {
		run.warn("broken_line", "runs.jsonl", fmt.Sprintf("%d lines in all are not records", n),
			"the file is damaged: treat the figures with care, or measure again")
	}
	run.Counts.Records = len(rows)
	return rows, nil
}

// parseRow reads one line. badField names a field whose value had the wrong
// type and was skipped.
func parseRow(data []byte) (row Row, badField string, err error) {
	err = json.Unmarshal(sanitize(data), &row)
	var typeErr *json.UnmarshalTypeError
	if errors.As(err, &typeErr) && typeErr.Field != "" {
		badField, err = typeErr.Field, nil // encoding/json has gone on with the other fields
	}
	if err == nil && (row.Backend == "" || row.Model == "" || row.Mode == "") {
		err = errors.New("no backend, model or mode")
	}
	if err == nil && row.Status == "" {
		err = errors.New("no status")
	}
	return row, badField, err
}

// callKey says which planned measurement a record is of.
type callKey struct {
	task               int
	backend, model     string
	scenario           string
	batch, replicate   int
	mode               string
	warmup             bool
	session, rep, line int // session for warm-ups only: each session's are measurements of their own
}

func keyOf(r *Row) callKey {
	k := callKey{task: r.TaskIdx, backend: r.Backend, model: r.Model, scenario: r.Scenario,
		batch: r.Sequences(), replicate: r.Replicate, mode: r.Mode, warmup: r.IsWarmup, rep: -1}
	switch {
	case r.IsWarmup && r.WarmupIdx != nil:
		k.rep, k.session = *r.WarmupIdx, r.Session
	case r.IsWarmup:
		k.line = r.Line
	case r.Rep != nil:
		k.rep = *r.Rep
	case r.Status == record.StatusOK:
		k.line = r.Line // nothing says that it repeats another one
	}
	return k
}

// supersede leaves the records that count, in file order.
func (run *Run) supersede(rows []Row) []Row {
	best := map[callKey]int{}
	duplicates := 0
	for i := range rows {
		k := keyOf(&rows[i])
		j, seen := best[k]
		if !seen {
			best[k] = i
			continue
		}
		a, b := &rows[j], &rows[i]
		if a.Session == b.Session && a.ok() && b.ok() {
			duplicates++
		}
		if x, y := a.standing(), b.standing(); y > x || y == x && b.Session >= a.Session {
			best[k] = i
		}
	}
	// A failure counts no more once a later session has measured the same
	// repetition, be it in another worker process. One that names no repetition,
	// or a warm-up's, goes when the later session has measured the cell at all.
	const anyRep = -1
	again := func(r *Row, rep int) callKey {
		k := keyOf(r)
		k.replicate, k.session, k.line, k.warmup, k.rep = 0, 0, 0, false, rep
		return k
	}
	okSession := map[callKey]int{}
	for i := range rows {
		r := &rows[i]
		if r.Status != record.StatusOK || r.IsWarmup {
			continue
		}
		for _, rep := range []int{anyRep, keyOf(r).rep} {
			k := again(r, rep)
			okSession[k] = max(okSession[k], r.Session)
		}
	}
	var kept []Row
	for i := range rows {
		r := &rows[i]
		if best[keyOf(r)] != i {
			continue
		}
		if r.Status != record.StatusOK {
			rep := anyRep
			if !r.IsWarmup && r.Rep != nil {
				rep = *r.Rep
			}
			if okSession[again(r, rep)] > r.Session {
				continue
			}
		}
		kept = append(kept, *r)
	}
	run.Counts.Superseded = len(rows) - len(kept)
	if duplicates > 0 {
		run.warn("duplicate_records", "runs.jsonl",
			fmt.Sprintf("%d records repeat an earlier one of the same session, cell and repetition; the last one of each counts", duplicates),
			"look whether two runs were appended to one file")
	}
	return kept
}

// readArchitecture takes TR121's table of model shapes, if its analyzer has left
// one: its records do not say how deep and wide a model is.
func (run *Run) readArchitecture() error {
	run.arch = map[string]architecture{}
	if run.Harness != HarnessTR121 {
		return nil
	}
	for _, name := range []string{"hf_model_architecture.csv", filepath.Join("analysis", "hf_model_architecture.csv")} {
		f, err := os.Open(filepath.Join(run.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("analysis: %w", err)
		}
		lines, err := csv.NewReader(f).ReadAll()
		f.Close()
		if err != nil {
			run.warn("broken_table", filepath.ToSlash(name), err.Error(), "model shapes from this table are unknown; correct it or remove it")
			continue
		}
		if len(lines) == 0 {
			continue
		}
		column := map[string]int{}
		for i, h := range lines[0] {
			column[h] = i
		}
		for _, l := range lines[1:] {
			text := func(h string) string {
				if i, ok := column[h]; ok {
					return l[i]
				}
				return ""
			}
			num := func(h string) int {
				v, err := strconv.ParseFloat(text(h), 64)
				if err != nil || v < 0 || v > 1e9 {
					return 0
				}
				return int(v)
			}
			if text("model") == "" {
				continue
			}
			run.arch[text("model")] = architecture{text("config_path"), num("n_layer"), num("n_embd"), num("n_head"),
				num("n_inner"), num("vocab_size"), num("n_positions")}
		}
	}
	return nil
}

func (r *Row) ok() bool { return r.Status == record.StatusOK }

// Bounds of what can be a time, in ms: a femtosecond and 30,000 years. Between
// them no mean, ratio or square of times overflows.
const (
	minLatencyMS = 1e-12
	maxLatencyMS = 1e15
)

// latency is the record's time, if it is one.
func (r *Row) latency() (ms float64, ok bool) {
	if r.LatencyMS == nil || !(*r.LatencyMS > minLatencyMS) || !(*r.LatencyMS < maxLatencyMS) {
		return 0, false
	}
	return *r.LatencyMS, true
}
