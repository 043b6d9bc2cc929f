package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"llmscale/internal/address"
	"llmscale/internal/paths"
	"llmscale/runner/config"
	"llmscale/runner/record"
)

// States of a run in its manifest.
const (
	StateRunning     = "running" // or killed: a finished coordinator writes another
	StateCompleted   = "completed"
	StateInterrupted = "interrupted"
	StateFailed      = "failed" // the run as a whole; failed cells leave it completed
)

// Overrides are what the command line changed in the config, kept so that
// --resume sees the same config.
type Overrides struct {
	Models            []string `json:"models"`
	Backends          []string `json:"backends"`
	Scenarios         []string `json:"scenarios"`
	Repetitions       *int     `json:"repetitions"`
	WarmupRepetitions *int     `json:"warmup_repetitions"`
	GenTokens         *int     `json:"gen_tokens"`
	Seed              *int64   `json:"seed"`
	MaxParams         *int64   `json:"max_params"` // models with more parameters are left out; nil: none are
}

// Apply changes the config. Ladders have become their rungs before models are
// chosen from it.
func (o Overrides) Apply(cfg *config.Config, models *Models) error {
	if err := expandLadders(cfg); err != nil {
		return err
	}
	if err := cfg.Filter(o.Models, o.Backends, o.Scenarios); err != nil {
		return err
	}
	if o.MaxParams != nil {
		if err := models.leaveOutLarger(cfg, *o.MaxParams, o.Models); err != nil {
			return err
		}
	}
	return errors.Join(
		cfg.Filter(nil, nil, nil), // backends that are left without a model
		cfg.Override(config.Overrides{
			Repetitions: o.Repetitions, WarmupRepetitions: o.WarmupRepetitions, GenTokens: o.GenTokens, Seed: o.Seed,
		}))
}

// NewManifest is manifest.json of a new run in the store's folder, with TR121's keys;
// build is what `llmscale version` says. modelsDir is an absolute path.
func (s *Store) NewManifest(id string, p *Plan, o Overrides, modelsDir string, build any) (map[string]any, error) {
	cfg := p.Config
	resolved := cfg.Resolved()
	m := ThisMachine()
	inside, err := relative(s.dir, modelsDir)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"schema_version": record.SchemaVersion, "run_id": id, "run_name": cfg.RunName,
		"argv": address.RedactAll(os.Args), "config_path": cfg.File(), "config_dir": cfg.Dir(), "config_sha256": cfg.SHA256(), "git_head": gitHead(),
		"platform":    map[string]any{"os": m.OS, "machine": m.Arch, "processor": m.CPU, "go": m.GoVersion},
		"environment": m, "llmscale": build, "cuda_available": false,
		"repetitions": cfg.Repetitions, "warmup_repetitions": cfg.WarmupRepetitions,
		"gen_tokens": cfg.GenTokens, "seed": strconv.FormatInt(cfg.Seed, 10),
		"resolved": map[string]any{
			"config": resolved, "scenarios": cfg.Scenarios, "models": cfg.Models, "backends": cfg.Backends,
			"filters": map[string]any{"models_allowlist": o.Models, "backends_allowlist": o.Backends, "scenarios_allowlist": o.Scenarios},
		},
		"overrides": o, "models_dir": modelsDir, "models_dir_in_run": inside,
		"task_count": p.Cells, "modes": record.Modes, "records_expected": p.RecordsExpected(),
		"plan_sha256": p.SHA256(), "run_state": StateRunning, "sessions": []any{},
		modelFilesKey: modelFiles(p, nil), programsKey: programEntries(p),
	}, nil
}

// ModelsDir is where the run in dir keeps its models: where they were, or, if that is
// in the run's folder, where the folder is now.
func ModelsDir(dir string, manifest map[string]any) (string, error) {
	models, _ := manifest["models_dir"].(string)
	if inside, _ := manifest["models_dir_in_run"].(string); inside != "" {
		models = filepath.Join(dir, inside)
	}
	return paths.Absolute(models)
}

// ResumedConfig reads the config of the run in dir as its manifest says it ran:
// the copy of the file, with the same paths and overrides.
func ResumedConfig(dir string, manifest map[string]any, models *Models) (*config.Config, Overrides, error) {
	o, err := entryOf[Overrides](manifest, "overrides")
	if err != nil {
		return nil, o, fmt.Errorf("runner: %s: overrides: %w", filepath.Join(dir, ManifestFile), err)
	}
	text, err := os.ReadFile(filepath.Join(dir, configCopy))
	if err != nil {
		return nil, o, fmt.Errorf("runner: %w", err)
	}
	// Under its original name and from its folder, so that its run_name and relative
	// model paths mean what they did. Old manifests have no config_dir.
	name, _ := manifest["config_path"].(string)
	from, ok := manifest["config_dir"].(string)
	if !ok {
		from = filepath.Dir(name)
	}
	cfg, err := config.ParseAt(name, from, text)
	if err != nil {
		return nil, o, err
	}
	return cfg, o, o.Apply(cfg, models)
}

// CheckResumable compares a new plan with the one that the manifest's run
// carried out: the same work, by the same build on the same kind of machine.
// Anything else would mix two things in one cell. build is what NewManifest got.
// What the plan's files hold is for CheckContents, once they are there.
func CheckResumable(dir string, manifest map[string]any, p *Plan, build any) error {
	if manifest["plan_sha256"] != p.SHA256() {
		return fmt.Errorf("runner: %s cannot be resumed: its models or config have changed since it was started; start a new run", dir)
	}
	if !sameJSON(manifest["llmscale"], build) {
		return fmt.Errorf("runner: %s cannot be resumed: it was measured by another build of llmscale (its manifest says which); use that one, or start a new run", dir)
	}
	if err := checkPrograms(manifest, p); err != nil {
		return fmt.Errorf("runner: %s cannot be resumed: %w", dir, err)
	}
	environment, _ := manifest["environment"].(map[string]any)
	if cpu := ThisMachine().CPU; environment["cpu"] != cpu {
		return fmt.Errorf("runner: %s cannot be resumed: it was measured on %v, this machine is %s; start a new run", dir, environment["cpu"], cpu)
	}
	return nil
}

// CheckContents compares the content of a prepared plan's files with what the
// manifest's run has loaded.
func CheckContents(dir string, manifest map[string]any, p *Plan) error {
	loaded := loadedFiles(manifest, nil)
	for i := range p.Jobs {
		if err := loaded.check(&p.Jobs[i]); err != nil {
			return fmt.Errorf("runner: %s cannot be resumed: %w", dir, err)
		}
	}
	return nil
}

// entryOf is a value of a manifest that was made in this session or read from a file. Where the manifest has none,
// or with an error, it is the zero value.
func entryOf[T any](manifest map[string]any, key string) (T, error) {
	var v, zero T
	data, err := json.Marshal(manifest[key])
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		return zero, err
	}
	return v, nil
}

// sameJSON compares two values by what they are in JSON.
func sameJSON(a, b any) bool {
	x, errA := plainJSON(a)
	y, errB := plainJSON(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// plainJSON is a value in JSON, with the keys of structs and maps in one order.
func plainJSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

// Sessions is how many sessions a manifest knows of.
func Sessions(manifest map[string]any) int {
	s, _ := manifest["sessions"].([]any)
	return len(s)
}

// begin notes the session in the manifest, before the first call.
func (r *Run) begin() error {
	sessions, _ := r.Manifest["sessions"].([]any)
	r.Manifest["sessions"] = append(sessions, map[string]any{
		"started_at_unix": float64(time.Now().UnixNano()) / 1e9, "argv": address.RedactAll(os.Args), "load_average_1m": loadAverage(),
	})
	r.Manifest["run_state"] = StateRunning
	r.begun = true
	return r.Store.WriteManifest(r.Manifest)
}

// noteGPU puts a card into the manifest, with what its driver says of it, the
// first time that a model is loaded on it.
func (r *Run) noteGPU(gpu *GPU) {
	if gpu == nil {
		return
	}
	gpus, _ := r.Manifest["gpus"].(map[string]any)
	if gpus == nil {
		gpus = map[string]any{}
		r.Manifest["gpus"] = gpus
	}
	r.Manifest["cuda_available"] = true
	if _, ok := gpus[gpu.UUID]; !ok {
		gpus[gpu.UUID] = gpu
	}
}

// end completes the artifacts: metrics.csv, the small tables, the manifest.
func (r *Run) end(sum Summary) error {
	sessions := r.Manifest["sessions"].([]any)
	session := sessions[len(sessions)-1].(map[string]any)
	session["ended_at_unix"] = float64(time.Now().UnixNano()) / 1e9
	session["records_written"] = sum.Records
	session["load_average_1m_end"] = loadAverage()
	state := StateCompleted
	switch {
	case sum.Interrupted:
		state = StateInterrupted
	case len(r.outcome) < r.Plan.Cells:
		state = StateFailed
	}
	r.Manifest["run_state"] = state
	r.Manifest[modelFilesKey] = modelFiles(r.Plan, r.loaded) // hashes of transient models are known only now
	r.Manifest["cells_by_status"] = sum.ByStatus
	r.Manifest["records_written"] = len(r.Previous) + sum.Records
	r.Manifest["results"] = map[string]any{
		"metrics_csv": MetricsFile, "runs_jsonl": RunsFile, "hf_load_ms_csv": loadFile, "resolved_model_params_csv": paramsFile,
	}
	r.noteCeilings()
	return errors.Join(
		r.Store.WriteMetrics(),
		r.writeLoads(),
		r.writeParams(),
		r.Store.WriteManifest(r.Manifest))
}

// TR121's small tables, under its names.
const (
	loadFile   = "hf_load_ms.csv"
	paramsFile = "resolved_model_params.csv"
)

// writeLoads lists how long each load of this and earlier sessions took.
func (r *Run) writeLoads() error {
	rows := [][]string{{"model", "device", "dtype", "hf_load_ms"}}
	for i := range r.Previous {
		p := &r.Previous[i]
		if p.ModelLoadMS != nil && p.Mode == record.ModePrefill {
			rows = append(rows, []string{p.Model, p.Device, r.dtype(p.Backend), formatFloat(*p.ModelLoadMS)})
		}
	}
	for _, l := range r.loads {
		rows = append(rows, []string{l.model, l.device, l.dtype, formatFloat(l.ms)})
	}
	return r.Store.WriteCSV(loadFile, rows)
}

// dtype is a backend's weight type by the backend's name.
func (r *Run) dtype(backend string) string {
	for _, b := range r.Plan.Config.Backends {
		if b.Name == backend {
			return b.DType
		}
	}
	return ""
}

// writeParams lists each model's parameters, claimed and counted.
func (r *Run) writeParams() error {
	rows := [][]string{{"model", "kind", "params_millions_config", "params_millions_measured", "parameter_size_raw",
		"quantization_level", "family", "device", "dtype"}}
	for i := range r.Plan.Jobs {
		j := &r.Plan.Jobs[i]
		claim := ""
		if j.Model.ParamsMillions != nil {
			claim = formatFloat(*j.Model.ParamsMillions)
		}
		rows = append(rows, []string{j.Model.Name, j.Model.Kind, claim, formatFloat(float64(j.Model.Desc.ParamsTotal) / 1e6),
			strconv.FormatInt(j.Model.Desc.ParamsTotal, 10), j.Model.Desc.WeightType, j.Model.Desc.Architecture,
			j.Backend.Device, j.Backend.DType})
	}
	body := rows[1:]
	slices.SortFunc(body, func(a, b []string) int {
		return strings.Compare(a[0]+"\x00"+a[8], b[0]+"\x00"+b[8])
	})
	return r.Store.WriteCSV(paramsFile, rows)
}

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
