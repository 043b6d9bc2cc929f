package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/internal/durable"
	"llmscale/internal/sums"
)

// list is a list of sums that lies in the folder.
type list struct {
	sums.List
	file string // its name
	home string // the folder that its names are seen from
}

// optionsMark stands between program and options of a list's About.
const optionsMark = "; options "

// Seal writes the sums of the run's files and of its analysis, in analysis/SHA256SUMS.
// program says which llmscale wrote the analysis.
func Seal(run *runs.Run, opt cells.Options, program string) error {
	home := Home(run)
	asked, err := json.Marshal(opt)
	if err != nil {
		return err
	}
	out := sums.List{About: "analysis by " + program + optionsMark + string(asked), Sums: map[string]string{}}
	path := filepath.Join(home, "analysis", sums.FileName)
	add := func(file string) error {
		name, err := filepath.Rel(home, file)
		if err != nil || file == path {
			return err
		}
		dir, base := filepath.Split(strings.TrimSuffix(file, runs.Packed))
		sum, err := sumOf(dir, base)
		out.Sums[strings.TrimSuffix(name, runs.Packed)] = sum
		return err
	}
	for _, dir := range slices.Compact([]string{run.Dir, home}) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && e.Name() != lockFile && !strings.HasPrefix(e.Name(), ".") {
				if err := add(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	err = filepath.WalkDir(filepath.Join(home, "analysis"), func(file string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		return add(file)
	})
	if err != nil {
		return err
	}
	return out.Write(durable.Quick, path)
}

// sumOf is the sum of a file's content, of a packed one's unpacked.
func sumOf(dir, name string) (string, error) {
	f, err := runs.Open(dir, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, err := sums.Of(f)
	if err != nil {
		err = fmt.Errorf("%s cannot be read to its end: %w", filepath.Join(dir, name), err)
	}
	return sum, err
}

// readLists reads the lists of sums that are there.
func (f *folder) readLists() error {
	for _, l := range []list{{home: f.dir, file: sums.FileName}, {home: f.out, file: f.name(filepath.Join(f.out, "analysis", sums.FileName))}} {
		data, err := os.ReadFile(filepath.Join(f.dir, l.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		f.done[l.file] = true
		if l.List, err = sums.Parse(data); err != nil {
			f.wrong(l.file, "", "%v: it was changed, so no file is held against it", err)
			continue
		}
		f.lists = append(f.lists, l)
	}
	return nil
}

// chooseOptions finds the options of the analysis.
func (f *folder) chooseOptions(asked *cells.Options) {
	if asked != nil {
		f.opt = *asked
	}
	for _, l := range f.lists {
		program, options, ok := strings.Cut(strings.TrimPrefix(l.About, "analysis by "), optionsMark)
		if !ok {
			continue
		}
		f.WrittenBy = program
		var opt cells.Options
		if asked == nil && json.Unmarshal([]byte(options), &opt) == nil {
			f.opt, asked = opt, &opt
		}
	}
	var r struct {
		Options cells.Options `json:"options"`
	}
	if asked != nil {
		return
	}
	if data, err := os.ReadFile(filepath.Join(f.out, "analysis", analysis.ResultFile)); err == nil && json.Unmarshal(data, &r) == nil && r.Options.Check() == nil {
		f.opt = r.Options
	}
}

// sums holds the files against the lists.
func (f *folder) sums() error {
	altered := map[string]string{}
	intact := map[string]bool{}
	for _, l := range f.lists {
		for _, listed := range slices.Sorted(maps.Keys(l.Sums)) {
			path := filepath.Join(l.home, listed)
			name := f.name(path)
			dir, base := filepath.Split(path)
			sum, err := sumOf(dir, base)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				if !slices.Contains(f.absent, name) {
					f.absent = append(f.absent, name)
				}
				continue
			case err != nil:
				f.wrong(name, "", "cannot be read: %v", err)
				continue
			case sum != l.Sums[listed]:
				altered[name] = fmt.Sprintf("its SHA-256 is %s, %s lists %s", sum, l.file, l.Sums[listed])
			default:
				intact[name] = true
			}
			if !f.done[name] && !slices.Contains(f.Summed, name) {
				f.Summed = append(f.Summed, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(altered)) {
		// Where the places are known, they say more; but an analysis may have been made before it was extended.
		if !slices.ContainsFunc(f.Mismatches, func(m Mismatch) bool { return m.File == name }) {
			f.wrong(name, "", "%s", altered[name])
		}
	}
	for _, m := range f.Mismatches {
		if intact[m.File] && altered[m.File] == "" && !slices.Contains(f.AsWritten, m.File) {
			f.AsWritten = append(f.AsWritten, m.File)
		}
	}
	return nil
}
