package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/perf/benchfmt"

	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/internal/durable"
	"llmscale/runner/record"
)

const results = "../../results/"

// measured is a run with warm-ups, two models' prefill and decode.
const measured = results + "2026-11-30-threads-epyc-2-cores"

func export(t *testing.T, dir, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := Export(&b, dir, format); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGoBench: the reader of benchstat reads every line, and its samples have the
// medians of the analysis.
func TestGoBench(t *testing.T) {
	samples, rates := map[string][]float64{}, map[string]int{}
	r := benchfmt.NewReader(bytes.NewReader(export(t, measured, GoBench)), "export")
	for r.Scan() {
		switch l := r.Result().(type) {
		case *benchfmt.Result:
			if l.GetConfig("cpu") != "AMD EPYC" || l.GetConfig("goos") != "linux" || len(l.Config) != 3 {
				t.Fatalf("configuration %+v", l.Config)
			}
			seconds, ok := l.Value("sec/op")
			if !ok {
				t.Fatalf("%s: no sec/op in %+v", l.Name, l.Values)
			}
			if rate, ok := l.Value("tokens/s"); ok && rate > 0 {
				rates[string(l.Name)]++
			}
			samples[string(l.Name)] = append(samples[string(l.Name)], seconds*1e3)
		case *benchfmt.SyntaxError:
			t.Error(l)
		}
	}
	if m := r.Units().Get("tokens/s", "better"); r.Err() != nil || m == nil || m.Value != "higher" {
		t.Errorf("%v, %+v", r.Err(), m)
	}
	set := celltest.Load(t, measured)
	if len(samples) != len(set.Cells) {
		t.Errorf("%d names, %d cells", len(samples), len(set.Cells))
	}
	for i := range set.Cells {
		c := &set.Cells[i]
		name := fmt.Sprintf("Cell/model=%s/backend=%s/scenario=%s/mode=%s", c.Model, c.Backend, c.Scenario, c.Mode)
		got := samples[name]
		if len(got) != c.N || rates[name] != c.N || math.Abs(stats.Median(got)/c.MedianMS-1) > 1e-12 {
			t.Errorf("%s: %v, want %d of median %g", name, got, c.N, c.MedianMS)
		}
	}
	if got, want := part("a/b c%é\n"), "a%2Fb%20c%25é%0A"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestParquet: every field of every record comes back as it was, nulls, empty lists
// and lists as such.
func TestParquet(t *testing.T) {
	dir := t.TempDir()
	lines := recordsOf(t, measured)
	edge := record.Record{Nulls: map[string]string{"a": "b"}}
	edge.ThrottleReasons = []string{} // not null
	last, err := json.Marshal(&edge)
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, runs.RecordsFile), append(lines, last...), 0o644)); err != nil {
		t.Fatal(err)
	}
	data := export(t, dir, Parquet)
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	fields := record.Fields()
	if columns := file.Schema().Fields(); len(columns) != len(fields) || columns[0].Name() != fields[0].Name || columns[len(columns)-1].Name() != "null_reasons" {
		t.Errorf("%d columns, %d fields", len(columns), len(fields))
	}
	rows := parquet.NewReader(file, file.Schema())
	dec := json.NewDecoder(bytes.NewReader(append(lines, last...)))
	n := 0
	for ; ; n++ {
		var r record.Record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		row := reflect.New(parquetRow())
		if err := rows.Read(row.Interface()); err != nil {
			t.Fatal(err)
		}
		for i, f := range fields {
			got, want := row.Elem().Field(i).Interface(), f.Value(&r).Interface()
			if !reflect.DeepEqual(got, want) && fmt.Sprint(want) != "map[]" {
				t.Fatalf("row %d, %s: %#v, want %#v", n, f.Name, got, want)
			}
		}
	}
	if int64(n) != file.NumRows() || n != 169 {
		t.Errorf("%d records, %d rows", n, file.NumRows())
	}
	if err := os.WriteFile(filepath.Join(dir, runs.RecordsFile), append(lines, `{"torn":`...), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(io.Discard, dir, Parquet); err == nil || !strings.Contains(err.Error(), "line 169 is no record") {
		t.Errorf("a torn line: %v", err)
	}
}

func recordsOf(t *testing.T, dir string) []byte {
	t.Helper()
	in, err := runs.Open(dir, runs.RecordsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestImport: the lines that llama-bench wrote beside a run have, as a run, the medians
// of its samples. Many tests were made twice, by two invocations: they have two replicates.
func TestImport(t *testing.T) {
	in, err := runs.Open(results+"2026-11-23-ollama-check-xeon-2-cores", runs.LlamaBenchFile)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	file, dir := filepath.Join(t.TempDir(), "bench.jsonl"), filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	n, err := Import(file, dir)
	if err != nil || n != 1176 {
		t.Fatalf("%d records: %v", n, err)
	}
	type key struct {
		model                          string
		threads, prompt, gen, depthNow int
	}
	want := map[key][][]float64{}
	for line := range bytes.Lines(data) {
		var l struct {
			Model   string    `json:"model_filename"`
			Threads int       `json:"n_threads"`
			Prompt  int       `json:"n_prompt"`
			Gen     int       `json:"n_gen"`
			Depth   int       `json:"n_depth"`
			Samples []float64 `json:"samples_ns"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		k := key{l.Model, l.Threads, l.Prompt, l.Gen, l.Depth}
		want[k] = append(want[k], l.Samples)
	}
	set := celltest.Load(t, dir)
	if len(set.Warnings) > 0 && strings.Contains(fmt.Sprint(set.Warnings), "broken") || len(set.Cells) != len(want) {
		t.Errorf("%d cells of %d tests, %v", len(set.Cells), len(want), set.Warnings)
	}
	rows := map[string]*runs.Row{}
	for i := range set.Run.Rows {
		r := &set.Run.Rows[i]
		rows[r.CellID+r.Mode] = r
	}
	for i := range set.Cells {
		c := &set.Cells[i]
		r := rows[c.Model+"/"+c.Backend+"/"+c.Scenario+c.Mode]
		k := key{r.ModelFile, r.Threads(), 0, r.GenTokensTarget, r.DepthTokens()}
		if r.PromptTokensRaw != nil {
			k.prompt = *r.PromptTokensRaw
		}
		samples := want[k] // of each line, which is a process
		if c.Replicates != len(samples) || c.N != len(slices.Concat(samples...)) || math.Abs(c.MedianMS*1e6/stats.Geomean(stats.Map(samples, stats.Median))-1) > 1e-12 {
			t.Errorf("%+v: %d calls of median %g ms, llama-bench's %v", k, c.N, c.MedianMS, samples)
		}
	}
	// And back.
	var l benchLine
	first, _, _ := bytes.Cut(export(t, dir, LlamaBench), []byte("\n"))
	if err := json.Unmarshal(first, &l); err != nil || l.Gen != 24 || l.Depth != 17 || l.SamplesNS[0] != 379996467 || l.Threads != 2 {
		t.Errorf("%s: %v", first, err)
	}
	for text, wrong := range map[string]string{
		"": "has no line", "hello\n": "line 1 is not llama-bench's", string(data[:2000]): "is not llama-bench's", `{"a":1}`: "line 1 is not llama-bench's: no model_filename",
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(t.TempDir(), "other")
		if _, err := Import(file, other); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%.40q: %v, want %q", text, err, wrong)
		}
		if _, err := os.Stat(other); err == nil {
			t.Errorf("%.40q: a folder was made", text)
		}
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(file, dir); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("into a run: %v", err)
	}
}

// TestImportSettings: lines that differ in a setting are of two backends, also in one
// that records have no field for.
func TestImportSettings(t *testing.T) {
	line := `{"model_filename":"m.gguf","model_type":"llama ?B F16","n_threads":2,"poll":%d,"n_prompt":%d,"test_time":"2026-11-23T16:22:0%dZ","samples_ns":[1000000,3000000]}` + "\n"
	file, dir := filepath.Join(t.TempDir(), "bench.jsonl"), filepath.Join(t.TempDir(), "run")
	text := ""
	for i, l := range [][2]int{{0, 16}, {0, 64}, {50, 16}, {0, 16}, {0, 64}, {0, 16}} {
		text += fmt.Sprintf(line, l[0], l[1], i)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := Import(file, dir); err != nil || n != 12 {
		t.Fatal(n, err)
	}
	got := map[string]int{}
	for _, c := range celltest.Load(t, dir).Cells {
		got[c.Backend+" "+c.Scenario] = c.Replicates
	}
	if want := map[string]int{"llama-bench_poll0 pp16": 3, "llama-bench_poll0 pp64": 2, "llama-bench_poll50 pp16": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestImportFullDisk: whichever of its files cannot be written, no part of a run is left,
// and a folder that was there stays.
func TestImportFullDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.jsonl")
	if err := os.WriteFile(file, []byte(`{"model_filename":"m.gguf","n_prompt":16,"samples_ns":[1000000]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	for _, there := range []bool{false, true} {
		for good := range 8 {
			dir, syncs := filepath.Join(t.TempDir(), "run"), 0
			if there {
				dir = t.TempDir()
			}
			_, err := importTo(durable.Disk{Lock: durable.System.Lock, Sync: func(*os.File) error {
				if syncs++; syncs > good {
					return full
				}
				return nil
			}}, file, dir)
			left, rerr := os.ReadDir(dir)
			if !errors.Is(err, full) || len(left) > 0 || there != (rerr == nil) {
				t.Errorf("sync %d of folder that is there %v: %v, left %v, %v", good, there, err, left, rerr)
			}
		}
	}
	if n, err := Import(file, filepath.Join(t.TempDir(), "run")); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// TestNothingToExport: a run none of whose calls counts has no lines, and says so.
func TestNothingToExport(t *testing.T) {
	dir := t.TempDir()
	r := record.Record{Origin: record.Origin{SchemaVersion: record.SchemaVersion, RunID: "r"}}
	r.Backend, r.Model, r.Scenario, r.Mode, r.Status = "b", "m", "s", record.ModePrefill, record.StatusOOM
	line, err := json.Marshal(&r)
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, runs.RecordsFile), line, 0o644)); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := Export(&b, dir, GoBench); err == nil || !strings.Contains(err.Error(), "no call of the run counts") || b.Len() > 0 {
		t.Errorf("%v, %q", err, b.String())
	}
}

// TestLlamaBench: what is written is what the analysis reads of llama-bench, with the
// samples of the run; batches, servers and e2e_kv are left out and said to be.
func TestLlamaBench(t *testing.T) {
	var b bytes.Buffer
	left, err := Export(&b, measured, LlamaBench)
	if err != nil || len(left) != 2 || !strings.Contains(left[0], "48 records are no test") {
		t.Errorf("%q, %v", left, err)
	}
	set := celltest.Load(t, measured)
	lines, counted := 0, 0
	for line := range bytes.Lines(b.Bytes()) {
		l, err := runs.ParseLlamaBench(line)
		if err != nil {
			t.Fatal(err)
		}
		lines++
		counted += len(l.MS)
		fits := 0
		for i := range set.Run.Rows {
			if r := &set.Run.Rows[i]; l.RunsOn(r) && len(l.Differs(r)) == 0 {
				fits++
			}
		}
		if fits == 0 {
			t.Errorf("no record is like %s", line)
		}
	}
	n := 0
	for i := range set.Cells {
		if set.Cells[i].Mode != record.ModeE2E {
			n += set.Cells[i].N
		}
	}
	if lines == 0 || counted != n {
		t.Errorf("%d lines of %d samples, want %d", lines, counted, n)
	}
}
