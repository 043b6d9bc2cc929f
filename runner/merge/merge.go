package merge

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"llmscale/internal/durable"
	"llmscale/internal/text"
	"llmscale/runner"
	"llmscale/runner/record"
	"llmscale/runner/store"
)

// Result is what was merged.
type Result struct {
	Records int
	Shards  []Shard
	Missing []int // shards that were not there
	Of      int

	Machines map[string]record.Machine // that measured; shards of before it was told name none
}

// Shard is one of those that were merged.
type Shard struct {
	Dir     string
	Number  int
	Lacking int // planned repetitions
	Left    int // bytes at the end of its records that a killed coordinator left unfinished, and that were left out
}

// Complete tells whether every planned call is there.
func (r *Result) Complete() bool {
	return len(r.Missing) == 0 && !slices.ContainsFunc(r.Shards, func(s Shard) bool { return s.Lacking > 0 })
}

// Notes say what is not as it should be, a line each, and how much was merged.
func (r *Result) Notes() (out []string) {
	for _, s := range r.Shards {
		if s.Left > 0 {
			out = append(out, fmt.Sprintf("shard %d/%d (%s): %s at the end of its records, unfinished by a killed run, left out", s.Number, r.Of, s.Dir, text.Counted(s.Left, "byte", "bytes")))
		}
		if s.Lacking > 0 {
			out = append(out, fmt.Sprintf("shard %d/%d lacks %s: llmscale run --resume %s", s.Number, r.Of, text.Counted(s.Lacking, "repetition", "repetitions"), text.Arg(s.Dir)))
		}
	}
	if n := len(r.Missing); n > 0 {
		out = append(out, fmt.Sprintf("%d of %d shards are missing: %s", n, r.Of, numbers(r.Missing)))
	}
	if types := r.types(); len(types) > 1 {
		out = append(out, fmt.Sprintf("measured on %d types of machine: %s; the analysis keeps them apart", len(types), text.List(types, "and")))
	}
	return append(out, fmt.Sprintf("%s of %s", text.Counted(r.Records, "record", "records"), text.Counted(len(r.Shards), "shard", "shards")))
}

// types are those of the machines, by their hardware.
func (r *Result) types() []string {
	types := map[string]string{}
	for id, m := range r.Machines {
		kind := record.MachineType(id)
		types[kind] = fmt.Sprintf("%s (%s)", cmp.Or(strings.Join(m.GPUs, ", "), m.CPU, "unknown"), kind)
	}
	return slices.Sorted(maps.Values(types))
}

// numbers lists some numbers, of many the first.
func numbers(list []int) string {
	const most = 20
	var words []string
	for _, n := range list[:min(len(list), most)] {
		words = append(words, strconv.Itoa(n))
	}
	if len(list) > most {
		words = append(words, "...")
	}
	return strings.Join(words, ", ")
}

// Merge writes a run folder of shards. One that was merged before of shards of the same plan is written anew. Shards and
// a folder that it refuses are a *runner.InputError.
func Merge(dirs []string, out string) (_ *Result, err error) {
	all, err := openAll(dirs)
	if err != nil {
		return nil, &runner.InputError{Err: err}
	}
	folder, err := place(out, all[0])
	if err != nil {
		return nil, &runner.InputError{Err: err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, folder.Discard()) // leaves what has a manifest
		} else {
			err = folder.Close()
		}
	}()
	w := &writer{folder: folder, all: all, params: map[pair][]string{}, manifest: wholeManifest(all)}
	if err := w.begin(); err != nil {
		return nil, err
	}
	if err := each(all, false, w.take); err != nil {
		return nil, errors.Join(err, w.lines.Discard(), w.metrics.Discard())
	}
	return w.end()
}

// place takes the folder of the merged run.
func place(out string, first *source) (*store.Folder, error) {
	m, err := runner.ReadManifest(out)
	switch {
	case err != nil:
		return store.Create(out, "")
	case m.Merged == nil:
		return nil, fmt.Errorf("%s holds a run that was measured: choose another folder for the merged one", out)
	case m.Merged.PlanSHA256 != first.shard().PlanSHA256:
		return nil, fmt.Errorf("%s was merged of shards of another plan: choose another folder", out)
	}
	return store.Open(out)
}

// writer writes the merged run.
type writer struct {
	folder         *store.Folder
	all            []*source
	manifest       *runner.Manifest
	lines, metrics *durable.File
	sums           map[string]hash.Hash // of both, as they are written
	states         []*state
	loads          [][]string
	params         map[pair][]string
}

// begin begins the large files, beside those that are there.
func (w *writer) begin() (err error) {
	if w.lines, err = w.folder.Begin(store.RunsFile); err != nil {
		return err
	}
	if w.metrics, err = w.folder.Begin(store.MetricsFile); err != nil {
		return errors.Join(err, w.lines.Discard())
	}
	w.sums = map[string]hash.Hash{store.RunsFile: sha256.New(), store.MetricsFile: sha256.New()}
	header := record.NewMetrics(io.MultiWriter(w.metrics, w.sums[store.MetricsFile]))
	header.Header()
	if err := header.Flush(); err != nil {
		return errors.Join(err, w.lines.Discard(), w.metrics.Discard())
	}
	for _, s := range w.all { // one without a record too
		w.states = append(w.states, newState(s))
	}
	return nil
}

// take writes what was made of a piece of a shard.
func (w *writer) take(s *source, m *made) error {
	w.states[slices.Index(w.all, s)].add(m)
	w.loads = append(w.loads, m.loads...)
	for k, row := range m.params {
		w.params[k] = row
	}
	w.sums[store.RunsFile].Write(m.lines)
	w.sums[store.MetricsFile].Write(m.metrics)
	_, err := w.lines.Write(m.lines)
	if err == nil {
		_, err = w.metrics.Write(m.metrics)
	}
	return err
}

// end completes the folder. The manifest says first that it is not complete, so that a merge that ends here can be made
// again.
func (w *writer) end() (*Result, error) {
	w.manifest.RunState = runner.StateRunning
	if err := errors.Join(w.folder.RemoveSums(), w.manifest.Write(w.folder)); err != nil {
		return nil, errors.Join(err, w.lines.Discard(), w.metrics.Discard())
	}
	for _, f := range []*durable.File{w.lines, w.metrics} {
		if _, err := f.Commit(); err != nil {
			return nil, err
		}
	}
	result, known := w.conclude(), map[string]string{}
	for name, sum := range w.sums {
		known[name] = hex.EncodeToString(sum.Sum(nil))
	}
	return result, errors.Join(
		w.copyConfig(),
		w.writeCeilings(),
		w.writeTables(),
		w.manifest.Write(w.folder),
		w.folder.WriteSums(known))
}

// conclude says in the manifest what was merged.
func (w *writer) conclude() *Result {
	note := w.manifest.Merged
	result := &Result{Of: note.Of, Missing: note.Missing, Machines: w.manifest.Machines}
	failed, cells := map[int]string{}, map[int]bool{}
	for _, s := range w.states {
		lacking, status := s.lacking()
		note.Shards = append(note.Shards, s.note())
		result.Shards = append(result.Shards, Shard{s.of.dir, s.of.shard().Index, lacking, s.left})
		result.Records += s.records
		for task := range s.settled.Cells {
			cells[task] = true
		}
		for task, why := range status {
			failed[task] = cmp.Or(failed[task], why)
		}
	}
	m := w.manifest
	m.RunState = runner.StateCompleted
	if !result.Complete() {
		m.RunState = runner.StateIncomplete
	}
	m.RecordsWritten = &result.Records
	m.CellsByStatus = map[string]int{}
	for task := range cells {
		m.CellsByStatus[cmp.Or(failed[task], record.StatusOK)]++
	}
	return result
}
