// Package verify holds a run folder against its own records. It computes anew what
// stands in the report and the tables, in a folder of its own, and compares it with
// what is there; it checks the records against each other, and files against the sums
// that were written of them.
//
// No figure is rounded for a comparison: the same records, options and program give
// the same bytes. A PNG file is compared by its pixels, since its bytes depend on who
// packed it.
package verify

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/answer"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/report"
	"llmscale/analysis/runs"
	"llmscale/internal/sums"
)

// Mismatch is a place at which a file is not what it should be.
type Mismatch struct {
	File  string `json:"file"`  // as seen from the run folder
	Place string `json:"place"` // line, column, row or JSON path; "" for the file as a whole
	Text  string `json:"text"`
}

func (m Mismatch) String() string {
	if m.Place == "" {
		return m.File + ": " + m.Text
	}
	return m.File + ": " + m.Place + ": " + m.Text
}

// Unchecked is something that was not checked, and why.
type Unchecked struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Verdict is what Folder found. Its lists are never nil.
type Verdict struct {
	Matches    bool        `json:"matches"` // there is no mismatch
	Records    int         `json:"records"`
	Recomputed []string    `json:"recomputed"` // files that were held against the records
	Summed     []string    `json:"summed"`     // files of which the sum alone was checked
	Unchecked  []Unchecked `json:"unchecked"`
	Mismatches []Mismatch  `json:"mismatches"`
	WrittenBy  string      `json:"written_by"` // the llmscale that wrote the analysis, "" where nothing tells
	AsWritten  []string    `json:"as_written"` // files with mismatches whose sum is the one that was written: another version computes otherwise
}

// Options of Folder.
type Options struct {
	Analysis *cells.Options // nil: those of the folder's analysis, or the defaults where nothing tells them

	fresh string // where tests have what the run's records give; "": it is computed
}

// folder is a run folder that is being checked.
type folder struct {
	Verdict
	dir, out string // out holds analysis/ and the report
	run      *runs.Run
	lists    []list
	opt      cells.Options
	fresh    string          // the like of out, computed anew
	done     map[string]bool // files that were recomputed
	absent   []string        // files that could be computed, but are not there
}

// Folder checks a run folder. Its error says that nothing could be checked; what is
// wrong with the folder stands in the Verdict.
func Folder(dir string, opt Options) (*Verdict, error) {
	run, err := runs.Load(dir)
	if err != nil {
		return nil, err
	}
	if err := run.Nothing(); err != nil {
		return nil, err
	}
	f := &folder{Verdict: Verdict{Recomputed: []string{}, Summed: []string{}, Unchecked: []Unchecked{}, Mismatches: []Mismatch{}, AsWritten: []string{}}, dir: dir, out: Home(run), run: run, fresh: opt.fresh, done: map[string]bool{}}
	f.Records = run.Counts.Records
	if err := f.readLists(); err != nil {
		return nil, err
	}
	f.chooseOptions(opt.Analysis)
	for _, step := range []func() error{f.manifest, f.records, f.tables, f.analysis, f.models, f.sums, f.rest} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	f.Matches = len(f.Mismatches) == 0
	slices.SortStableFunc(f.Mismatches, func(a, b Mismatch) int { return cmp.Compare(rank(a.File), rank(b.File)) })
	return &f.Verdict, nil
}

// rank puts what others are computed from before them.
func rank(file string) int {
	switch {
	case strings.HasSuffix(file, sums.FileName):
		return 0
	case strings.Contains(file, "analysis"+string(filepath.Separator)) || strings.HasPrefix(filepath.Base(file), "report."):
		return 3
	case file == metricsFile || file == loadsFile || file == paramsFile:
		return 2
	}
	return 1
}

// Home is the folder that takes a run's analysis and report. The Python harness's own
// analysis has the same file names as ours: that stays.
func Home(run *runs.Run) string {
	if run.Harness == runs.HarnessTR121 {
		return filepath.Join(run.Dir, "llmscale")
	}
	return run.Dir
}

// wrong notes a mismatch.
func (f *folder) wrong(file, place, format string, args ...any) {
	f.Mismatches = append(f.Mismatches, Mismatch{file, place, fmt.Sprintf(format, args...)})
}

func (f *folder) skip(what, format string, args ...any) {
	f.Unchecked = append(f.Unchecked, Unchecked{what, fmt.Sprintf(format, args...)})
}

// name is a path of the folder as the reader sees it.
func (f *folder) name(path string) string {
	if rel, err := filepath.Rel(f.dir, path); err == nil {
		return rel
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// analysis computes everything anew and compares it.
func (f *folder) analysis() error {
	analysisDir := filepath.Join(f.out, "analysis")
	plots, reports := filepath.Join(analysisDir, "plots"), []string{filepath.Join(f.out, report.MarkdownFile), filepath.Join(f.out, report.HTMLFile)}
	if !exists(analysisDir) && !slices.ContainsFunc(reports, exists) {
		f.skip("the analysis", "there is none; llmscale report --run-dir makes it")
		return nil
	}
	if f.fresh == "" {
		fresh, err := os.MkdirTemp("", "llmscale-verify-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(fresh)
		page, err := os.ReadFile(reports[1])
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		live := doc.Live(page)
		if err := compute(fresh, f.run, f.opt, live, exists(plots) || slices.ContainsFunc(reports, exists)); err != nil {
			return err
		}
		if live && doc.Charts() == "" {
			if err := os.Remove(filepath.Join(fresh, report.HTMLFile)); err != nil {
				return err
			}
			f.skip(f.name(reports[1]), "it draws its figures itself, and this program has no chart library: build it with `make build`")
			f.done[f.name(reports[1])] = true
		}
		f.fresh = fresh
	}
	return filepath.WalkDir(f.fresh, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(f.fresh, path)
		if err != nil {
			return err
		}
		return f.hold(filepath.Join(f.out, rel), path)
	})
}

// compute writes the analysis of a run into dir, and its report, whose page draws its
// figures itself if live.
func compute(dir string, run *runs.Run, opt cells.Options, live, withReport bool) error {
	r, err := analysis.Analyze(run, opt)
	if err != nil {
		return err
	}
	tables := filepath.Join(dir, "analysis")
	a := answer.Of(r)
	if err := cmp.Or(analysis.Write(tables, r), a.Write(tables)); err != nil || !withReport {
		return err
	}
	figs, err := draw.Write(filepath.Join(dir, "analysis", "plots"), r.Figures())
	if err != nil {
		return err
	}
	if !live {
		figs = figure.OnPaper(figs)
	}
	_, err = report.Write(dir, r, a, figs)
	return err
}

// hold compares a file of the folder with its like that was computed anew.
func (f *folder) hold(there, fresh string) error {
	name := f.name(there)
	found, err := os.ReadFile(there)
	if os.IsNotExist(err) {
		f.absent = append(f.absent, name)
		return nil
	}
	if err != nil {
		f.wrong(name, "", "cannot be read: %v", err)
		return nil
	}
	want, err := os.ReadFile(fresh)
	if err != nil {
		return err
	}
	f.recomputed(name)
	for _, d := range compare(name, found, want) {
		f.wrong(name, d.place, "%s", d.text)
	}
	return nil
}

func (f *folder) recomputed(name string) {
	f.done[name] = true
	f.Recomputed = append(f.Recomputed, name)
}

// skipAbsent names what is not in the folder, plots by their number.
func (f *folder) skipAbsent() {
	var names []string
	plots := 0
	for _, name := range f.absent {
		if filepath.Base(filepath.Dir(name)) == "plots" {
			plots++
		} else {
			names = append(names, name)
		}
	}
	if plots > 0 {
		names = append(names, fmt.Sprintf("%d files of analysis/plots", plots))
	}
	if len(names) > 0 {
		f.skip(strings.Join(names, ", "), "not in the folder")
	}
}

// rest names what is in the folder and was not checked.
func (f *folder) rest() error {
	f.skipAbsent()
	seen := func(name string) bool {
		return f.done[name] || f.done[strings.TrimSuffix(name, runs.Packed)] || slices.Contains(f.Summed, strings.TrimSuffix(name, runs.Packed))
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir() && name != "analysis" && filepath.Join(f.dir, name) != f.out:
			f.skip(name+string(filepath.Separator), "a folder that verify does not read")
		case !e.IsDir() && name != lockFile && !seen(name):
			f.skip(name, "not computed from the records, and no list has its sum")
		}
	}
	err = filepath.WalkDir(filepath.Join(f.out, "analysis"), func(path string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !e.IsDir() && !seen(f.name(path)) {
			f.skip(f.name(path), "this llmscale writes no such file of these records, and no list has its sum")
		}
		return err
	})
	slices.Sort(f.Recomputed)
	slices.Sort(f.Summed)
	return err
}
