package verify

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/report"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// measured is a run that was measured, of 56 calls.
const measured = "../../results/2026-11-30-threads-epyc-2-cores"

// kept are the files of the folders that made gives, by their names.
var kept [2]fstest.MapFS

// made is a whole folder of it, with a report and everything that a run writes; fresh
// is what its analysis wrote. Each test gets copies: to draw the figures takes seconds.
func made(t *testing.T) (dir, fresh string) {
	t.Helper()
	dirs := [2]string{t.TempDir(), t.TempDir()}
	if kept[0] == nil {
		write(t, dirs[0], dirs[1])
		for i, dir := range dirs {
			kept[i] = fstest.MapFS{}
			for _, name := range files(t, dir) {
				data, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				kept[i][name] = &fstest.MapFile{Data: data, Mode: 0o644}
			}
		}
		return dirs[0], dirs[1]
	}
	for i, dir := range dirs {
		if err := os.CopyFS(dir, kept[i]); err != nil {
			t.Fatal(err)
		}
	}
	return dirs[0], dirs[1]
}

// write makes the folders of made.
func write(t *testing.T, dir, fresh string) {
	t.Helper()
	for _, name := range []string{"manifest.json", "config.yaml", "ceilings.json"} {
		data, err := os.ReadFile(filepath.Join(measured, name))
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, name), data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	in, err := runs.Open(measured, runs.RecordsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	lines, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	var metrics bytes.Buffer
	if err := errors.Join(os.WriteFile(filepath.Join(dir, runs.RecordsFile), lines, 0o644), record.WriteMetrics(&metrics, bytes.NewReader(lines)),
		os.WriteFile(filepath.Join(dir, metricsFile), metrics.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := folder{run: run}
	for name, rows := range map[string][]map[string]string{loadsFile: f.loads(), paramsFile: f.params()} {
		table := [][]string{slices.Sorted(maps.Keys(rows[0]))}
		for _, row := range rows {
			var line []string
			for _, column := range table[0] {
				line = append(line, row[column])
			}
			table = append(table, line)
		}
		var b bytes.Buffer
		if err := errors.Join(csv.NewWriter(&b).WriteAll(table), os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	opt := cells.Options{Bootstrap: 50, Seed: 7} // not the defaults: they must be found
	if err := errors.Join(compute(fresh, run, opt, false, true), os.CopyFS(dir, os.DirFS(fresh))); err != nil {
		t.Fatal(err)
	}
	full, _, err := opt.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if err := Seal(run, full, "llmscale 1.0 of a test"); err != nil {
		t.Fatal(err)
	}
}

func folderOf(t *testing.T, dir string, opt Options) *Verdict {
	t.Helper()
	v, err := Folder(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// files lists those of a folder.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			name, _ := filepath.Rel(dir, path)
			out = append(out, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// change gives a digit of data another value.
func change(rnd *rand.Rand, data []byte) []byte {
	var digits []int
	for i, c := range data {
		if c >= '0' && c <= '9' {
			digits = append(digits, i)
		}
	}
	out := bytes.Clone(data)
	at := digits[rnd.IntN(len(digits))]
	out[at] = '0' + (out[at]-'0'+1+byte(rnd.IntN(9)))%10
	return out
}

// TestEveryDigit changes one digit in each file in turn, at several places. It is seen,
// and that file is the first that is named.
func TestEveryDigit(t *testing.T) {
	dir, fresh := made(t)
	if v := folderOf(t, dir, Options{}); len(v.Mismatches) > 0 || len(v.Unchecked) != 1 || v.Records != 168 || v.WrittenBy != "llmscale 1.0 of a test" {
		t.Fatalf("%+v", v)
	}
	rnd := rand.New(rand.NewPCG(15, 0))
	tried := 0
	all := files(t, dir)
	for _, name := range all {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.ContainsAny(data, "0123456789") || testing.Short() && rnd.IntN(8) > 0 {
			continue
		}
		changed := change(rnd, data)
		if err := os.WriteFile(path, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		tried++
		v, err := Folder(dir, Options{fresh: fresh})
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case len(v.Mismatches) == 0:
			t.Errorf("%s: a changed digit was not seen: %s", name, around(data, changed))
		case v.Mismatches[0].File != name:
			t.Errorf("%s: %s: named %v", name, around(data, changed), v.Mismatches[0])
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d digits in %d files", tried, len(all))
}

// TestDigitsWithoutSums: in the folders of older versions, which have no sums, a
// changed digit of the analysis is seen in the file itself, and one of a record in what
// the records say twice.
func TestDigitsWithoutSums(t *testing.T) {
	dir, fresh := made(t)
	rnd := rand.New(rand.NewPCG(15, 1))
	for _, name := range files(t, fresh) {
		data, err := os.ReadFile(filepath.Join(fresh, name))
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if !bytes.ContainsAny(data, "0123456789") {
				break
			}
			changed := change(rnd, data)
			if len(compare(name, changed, data)) == 0 {
				t.Errorf("%s: a changed digit was not seen: %s", name, around(data, changed))
			}
		}
	}
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, runs.RecordsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Join(slices.Collect(bytes.Lines(whole))[:6], nil) // of two calls
	for range 100 {
		changed := change(rnd, data)
		if err := os.WriteFile(path, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		f := folder{dir: dir, run: run, done: map[string]bool{}}
		if err := f.records(); err != nil {
			t.Fatal(err)
		}
		if len(f.Mismatches) == 0 && !inReasons(data, changed) {
			t.Errorf("a changed digit was not seen: %s", around(data, changed))
		}
	}
}

// around shows where two texts begin to differ.
func around(a, b []byte) string {
	at := 0
	for a[at] == b[at] {
		at++
	}
	return string(b[max(0, at-60):min(len(b), at+20)])
}

// inReasons tells whether the digit is in the reasons of nulls, which each mode has of
// its own: only a sum holds these.
func inReasons(a, b []byte) bool {
	at := 0
	for a[at] == b[at] {
		at++
	}
	start := bytes.LastIndexByte(a[:at], '\n') + 1
	return bytes.Contains(a[start:at], []byte(`"null_reasons"`))
}

// TestDerived: what a changed record makes of the figures is named too, and the sum of
// the analysis tells that the tables are as they were written.
func TestDerived(t *testing.T) {
	dir, _ := made(t)
	path := filepath.Join(dir, runs.RecordsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(data, []byte("\n"))
	at := bytes.Index(lines[90], []byte(`"latency_ms":`)) + len(`"latency_ms":`)
	lines[90][at] = '0' + (lines[90][at]-'0')%9 + 1
	if err := os.WriteFile(path, bytes.Join(lines, []byte("\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	v := folderOf(t, dir, Options{})
	var named []string
	for _, m := range v.Mismatches {
		if !slices.Contains(named, m.File) {
			named = append(named, m.File)
		}
	}
	for _, want := range []string{metricsFile, "report.html", "report.md", "analysis/analysis.json", "analysis/summary_by_model_backend_mode.csv"} {
		if !slices.Contains(named, want) {
			t.Errorf("%s is not named: %v", want, named)
		}
	}
	if first := v.Mismatches[slices.IndexFunc(v.Mismatches, func(m Mismatch) bool { return m.File == runs.RecordsFile })]; first.Place != "line 91, field latency_ms" {
		t.Errorf("%v", first)
	}
	if !slices.Contains(v.AsWritten, "report.html") || slices.Contains(v.AsWritten, runs.RecordsFile) {
		t.Errorf("as written: %v", v.AsWritten)
	}
}

// TestOtherFolders: packed records, a folder without an analysis, a model's file that
// is another one by now, a torn line, and a file that nobody knows.
// TestLive: a page that draws its figures is computed as one, or not at all where the
// chart library is missing.
func TestLive(t *testing.T) {
	dir, _ := made(t)
	path := filepath.Join(dir, report.HTMLFile)
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	opt, _, err := cells.Options{Bootstrap: 50, Seed: 7}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir()
	if err := compute(fresh, run, opt, true, true); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(fresh, report.HTMLFile))
	if doc.Charts() == "" { // the like of what another program wrote
		page = bytes.Replace(page, []byte("<title>"), []byte(`<meta name="figures" content="live">`+"\n<title>"), 1)
	}
	if err := errors.Join(err, os.WriteFile(path, page, 0o644), Seal(run, opt, "llmscale 1.0 of a test")); err != nil {
		t.Fatal(err)
	}
	v := folderOf(t, dir, Options{})
	if checked := slices.Contains(v.Recomputed, report.HTMLFile); !v.Matches || checked != (doc.Charts() != "") {
		t.Errorf("charts %q: checked %v: %v, %v", doc.Charts(), checked, v.Mismatches, v.Unchecked)
	}
	if doc.Charts() == "" {
		return
	}
	if err := os.WriteFile(path, bytes.Replace(page, []byte("const dark"), []byte("const dusk"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if v := folderOf(t, dir, Options{}); v.Matches {
		t.Error("a changed script passed")
	}
}

func TestOtherFolders(t *testing.T) {
	// What a change of the analysis makes of results/ is for `scripts/results verify`.
	v := folderOf(t, measured, Options{})
	if slices.ContainsFunc(v.Mismatches, func(m Mismatch) bool { return rank(m.File) < 3 }) || !slices.Contains(v.Recomputed, "report.html") {
		t.Errorf("%+v", v)
	}
	dir := t.TempDir()
	in, err := runs.Open(measured, runs.RecordsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	lines, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(append(lines, `{"torn`...))
	manifest, err2 := os.ReadFile(filepath.Join(measured, manifestFile))
	model := filepath.Join(dir, "m.gguf")
	at := bytes.Index(manifest, []byte(`"paths": [`))
	end := at + bytes.IndexByte(manifest[at:], ']')
	manifest = slices.Concat(manifest[:at], []byte(`"paths": ["`+model+`"`), manifest[end:])
	manifest = bytes.ReplaceAll(manifest, []byte(`"models_dir_in_run"`), []byte(`"models_dir_elsewhere"`))
	if err := errors.Join(err, err2, w.Close(), os.WriteFile(filepath.Join(dir, "runs.jsonl.gz"), packed.Bytes(), 0o644), os.WriteFile(model, []byte("x"), 0o644),
		os.WriteFile(filepath.Join(dir, manifestFile), manifest, 0o644), os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	v = folderOf(t, dir, Options{})
	var all strings.Builder
	for _, m := range v.Mismatches {
		all.WriteString(m.String() + "\n")
	}
	for _, u := range v.Unchecked {
		all.WriteString(u.What + "; " + u.Why + "\n")
	}
	for _, want := range []string{"runs.jsonl: line 169: is no record", "m.gguf: its SHA-256 is", "the analysis; there is none", "notes.txt; not computed"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in\n%s", want, all.String())
		}
	}
	if _, err := Folder(t.TempDir(), Options{}); err == nil {
		t.Error("an empty folder was checked")
	}
	// The Python harness's own analysis is no subject.
	if v := folderOf(t, "../testdata/tr121", Options{}); len(v.Mismatches) > 0 {
		t.Errorf("%+v", v)
	}
}
