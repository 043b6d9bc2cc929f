package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"llmscale/analysis/runs"
	"llmscale/internal/sums"
	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Names of a run's files.
const (
	manifestFile = "manifest.json"
	configFile   = "config.yaml"
	metricsFile  = "metrics.csv"
	loadsFile    = "hf_load_ms.csv"
	paramsFile   = "resolved_model_params.csv"
	lockFile     = "run.lock" // of a run that goes on, or was killed: it holds nothing
)

// manifest holds the manifest and the config against the records and each other.
func (f *folder) manifest() error {
	m := f.run.Manifest
	if m.Empty() {
		if exists(filepath.Join(f.dir, manifestFile)) {
			f.wrong(manifestFile, "", "cannot be read")
		} else {
			f.skip(manifestFile, "not in the folder")
		}
		return nil
	}
	if f.run.Harness == runs.HarnessTR121 {
		return nil
	}
	f.recomputed(manifestFile)
	if n := m.Int("records_written"); n != nil && m.Text("run_state") != "running" && *n != f.run.Counts.Lines {
		f.wrong(manifestFile, "$.records_written", "found %d, %s has %d lines", *n, runs.RecordsFile, f.run.Counts.Lines)
	}
	if v := m.Int("schema_version"); v != nil && *v > record.SchemaVersion {
		f.wrong(manifestFile, "$.schema_version", "found %d; this llmscale knows %d", *v, record.SchemaVersion)
	}
	want := m.Text("config_sha256")
	switch config, err := os.ReadFile(filepath.Join(f.dir, configFile)); {
	case errors.Is(err, fs.ErrNotExist):
		f.absent = append(f.absent, configFile)
	case err != nil:
		return err
	case want == "":
		f.skip(configFile, "the manifest has no hash of it")
		f.done[configFile] = true
	default:
		f.recomputed(configFile)
		if sum := fmt.Sprintf("%x", sha256.Sum256(config)); sum != want {
			f.wrong(configFile, "", "its SHA-256 is %s, %s has %s", sum, manifestFile, want)
		}
	}
	return nil
}

// modelFile is what is needed of an entry of the manifest's model_files.
type modelFile struct {
	Model  string   `json:"model"`
	File   string   `json:"file"`
	Paths  []string `json:"paths"`
	Path   string   `json:"path"` // in old ones
	Pairs  []string `json:"pairs"`
	SHA256 string   `json:"sha256"`
}

func (f *folder) modelFiles() (out []modelFile) {
	f.run.Manifest.Decode(&out, "model_files")
	return out
}

// models hashes the files of the models that are still there.
func (f *folder) models() error {
	inside := f.run.Manifest.Text("models_dir_in_run")
	gone := 0
	for _, m := range f.modelFiles() {
		if m.Path != "" && len(m.Paths) == 0 {
			m.Paths = []string{m.Path}
		}
		if m.SHA256 == "" || len(m.Paths) == 0 {
			continue
		}
		sum, err := f.sumOfParts(m.Paths, inside)
		if err != nil {
			gone++
			continue
		}
		f.Summed = append(f.Summed, m.Paths[0])
		if sum != m.SHA256 {
			f.wrong(m.Paths[0], "", "its SHA-256 is %s, the run loaded %s", sum, m.SHA256)
		}
	}
	if gone > 0 {
		f.skip("the files of "+text.Counted(gone, "model", "models"), "not where the manifest says")
	}
	return nil
}

// sumOfParts is the sum of a model's files together. inside is where the run has them, if it
// has: the folder may lie elsewhere by now.
func (f *folder) sumOfParts(paths []string, inside string) (string, error) {
	var parts []io.Reader
	for _, path := range paths {
		if inside != "" {
			path = filepath.Join(f.dir, inside, filepath.Base(path))
		}
		in, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer in.Close()
		parts = append(parts, in)
	}
	return sums.Of(io.MultiReader(parts...))
}

// tables holds the run's own tables against the records.
func (f *folder) tables() error {
	if f.run.Harness == runs.HarnessTR121 {
		return nil
	}
	return errors.Join(f.metrics(), f.small(loadsFile, f.loads()), f.small(paramsFile, f.params()))
}

// metrics compares metrics.csv. One of an older version may lack what the records lack
// too.
func (f *folder) metrics() error {
	found, err := os.ReadFile(filepath.Join(f.dir, metricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		f.absent = append(f.absent, metricsFile)
		return nil
	}
	in, err2 := runs.Open(f.dir, runs.RecordsFile)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	defer in.Close()
	f.recomputed(metricsFile)
	var want bytes.Buffer
	if err := record.WriteMetrics(&want, in); err != nil {
		f.wrong(metricsFile, "", "cannot be computed: %s: %v", runs.RecordsFile, err)
		return nil
	}
	if bytes.Equal(found, want.Bytes()) {
		return nil
	}
	first, err := runs.Open(f.dir, runs.RecordsFile)
	if err != nil {
		return err
	}
	defer first.Close()
	var has map[string]json.RawMessage
	if err := json.NewDecoder(first).Decode(&has); err != nil {
		return err
	}
	a, errA := csvValues(found)
	b, errB := csvValues(want.Bytes())
	columns := map[string]bool{}
	for _, v := range a {
		columns[v.column] = true
	}
	b = slices.DeleteFunc(b, func(v value) bool { _, told := has[v.column]; return !told && !columns[v.column] })
	differ := compareValues(a, b)
	if errA != nil || errB != nil {
		differ = compareLines(found, want.Bytes())
	}
	for _, d := range differ {
		f.wrong(metricsFile, d.place, "%s", d.text)
	}
	return nil
}

// small compares some columns of a table of the run with what the records say: each of
// want must be there. What else is there, such as of a model that has no record, the
// records cannot tell.
func (f *folder) small(file string, want []map[string]string) error {
	data, err := os.ReadFile(filepath.Join(f.dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		f.absent = append(f.absent, file)
		return nil
	}
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || len(rows) == 0 {
		f.wrong(file, "", "is no table: %v", err)
		return nil
	}
	f.recomputed(file)
	head, rows := rows[0], rows[1:]
	for _, w := range want {
		at := slices.IndexFunc(rows, func(row []string) bool {
			for column, text := range w {
				if j := slices.Index(head, column); j < 0 || row[j] != text {
					return false
				}
			}
			return true
		})
		if at < 0 {
			f.wrong(file, "", "no row is left for %v, which the records tell", w)
			continue
		}
		rows = slices.Delete(rows, at, at+1) // two loads take two rows
	}
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// dtypes are the weight types of backends, which the config alone has.
func (f *folder) dtypes() map[string]string {
	var backends []struct {
		Name  string `json:"name"`
		DType string `json:"dtype"`
	}
	f.run.Manifest.Decode(&backends, "resolved", "backends")
	out := map[string]string{}
	for _, b := range backends {
		out[b.Name] = b.DType
	}
	return out
}

// addDType adds a backend's weight type, where it is known, to a row.
func addDType(row, dtypes map[string]string, backend string) map[string]string {
	if dtype, known := dtypes[backend]; known {
		row["dtype"] = dtype
	}
	return row
}

// loads are the rows of hf_load_ms.csv that the records tell.
func (f *folder) loads() (out []map[string]string) {
	dtypes := f.dtypes()
	for i := range f.run.Rows {
		if r := &f.run.Rows[i]; r.ModelLoadMS != nil && r.Mode == record.ModePrefill {
			out = append(out, addDType(map[string]string{"model": r.Model, "device": r.Device, "hf_load_ms": number(*r.ModelLoadMS)}, dtypes, r.Backend))
		}
	}
	return out
}

// params are those of resolved_model_params.csv.
func (f *folder) params() (out []map[string]string) {
	dtypes := f.dtypes()
	type key struct{ model, backend string }
	seen := map[key]bool{}
	for i := range f.run.Rows {
		r := &f.run.Rows[i]
		if k := (key{r.Model, r.Backend}); !seen[k] {
			seen[k] = true
			claim := ""
			if r.ParamsMillionsConfig != nil {
				claim = number(*r.ParamsMillionsConfig)
			}
			out = append(out, addDType(map[string]string{"model": r.Model, "kind": r.ModelKind, "params_millions_config": claim, "params_millions_measured": number(float64(r.ParamsTotal) / 1e6),
				"parameter_size_raw": strconv.FormatInt(r.ParamsTotal, 10), "quantization_level": r.WeightType, "family": r.Architecture, "device": r.Device}, dtypes, r.Backend))
		}
	}
	return out
}
