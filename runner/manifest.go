package runner

import (
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

// configCopy is the config's name in the run folder. The copy, not the original,
// is what a resumed run reads.
const configCopy = "config.yaml"

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

// NewManifest is manifest.json of a new run, with TR121's keys; build is what
// `llmscale version` says.
func NewManifest(id string, p *Plan, o Overrides, modelsDir string, build any) map[string]any {
	cfg := p.Config
	resolved := cfg.Resolved()
	m := ThisMachine()
	return map[string]any{
		"schema_version": record.SchemaVersion, "run_id": id, "run_name": cfg.RunName,
		"argv": address.RedactAll(os.Args), "config_path": cfg.File(), "config_sha256": cfg.SHA256(), "git_head": gitHead(),
		"platform":    map[string]any{"os": m.OS, "machine": m.Arch, "processor": m.CPU, "go": m.GoVersion},
		"environment": m, "llmscale": build, "cuda_available": false,
		"repetitions": cfg.Repetitions, "warmup_repetitions": cfg.WarmupRepetitions,
		"gen_tokens": cfg.GenTokens, "seed": strconv.FormatInt(cfg.Seed, 10),
		"resolved": map[string]any{
			"config": resolved, "scenarios": cfg.Scenarios, "models": cfg.Models, "backends": cfg.Backends,
			"filters": map[string]any{"models_allowlist": o.Models, "backends_allowlist": o.Backends, "scenarios_allowlist": o.Scenarios},
		},
		"overrides": o, "models_dir": modelsDir,
		"task_count": p.Cells, "modes": record.Modes, "records_expected": p.RecordsExpected(),
		"plan_sha256": p.SHA256(), "run_state": StateRunning, "sessions": []any{},
		"model_files": modelFiles(p),
	}
}

func modelFiles(p *Plan) []map[string]any {
	var out []map[string]any
	seen := map[string]bool{}
	for i := range p.Jobs {
		m := &p.Jobs[i].Model
		if !seen[m.File] {
			seen[m.File] = true
			out = append(out, map[string]any{
				"model": m.Name, "source": m.Source, "file": filepath.Base(m.File), "sha256": m.SHA256, "description": m.Desc,
			})
		}
	}
	slices.SortFunc(out, func(a, b map[string]any) int {
		return strings.Compare(a["file"].(string), b["file"].(string))
	})
	return out
}

// SaveConfig keeps the config, without secrets, in a new run's folder.
func (s *Store) SaveConfig(cfg *config.Config) error {
	return writeFile(filepath.Join(s.dir, configCopy), cfg.Text())
}

// ResumedConfig reads the config of the run in dir as its manifest says it ran:
// the copy of the file, with the same paths and overrides.
func ResumedConfig(dir string, manifest map[string]any, models *Models) (*config.Config, Overrides, error) {
	var o Overrides
	data, err := json.Marshal(manifest["overrides"])
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return nil, o, fmt.Errorf("runner: %s: overrides: %w", filepath.Join(dir, ManifestFile), err)
	}
	text, err := os.ReadFile(filepath.Join(dir, configCopy))
	if err != nil {
		return nil, o, fmt.Errorf("runner: %w", err)
	}
	// Under its original name, so that relative model paths mean what they did.
	name, _ := manifest["config_path"].(string)
	cfg, err := config.Parse(name, text)
	if err != nil {
		return nil, o, err
	}
	return cfg, o, o.Apply(cfg, models)
}

// CheckResumable compares a new plan with the one that the manifest's run
// carried out: the same work on files of the same content, by the same build on
// the same kind of machine. Anything else would mix two things in one cell.
// build is what NewManifest got.
func CheckResumable(dir string, manifest map[string]any, p *Plan, build any) error {
	if manifest["plan_sha256"] != p.SHA256() {
		return fmt.Errorf("runner: %s cannot be resumed: its models or config have changed since it was started; start a new run", dir)
	}
	if !sameJSON(manifest["llmscale"], build) {
		return fmt.Errorf("runner: %s cannot be resumed: it was measured by another build of llmscale (its manifest says which); use that one, or start a new run", dir)
	}
	environment, _ := manifest["environment"].(map[string]any)
	if cpu := ThisMachine().CPU; environment["cpu"] != cpu {
		return fmt.Errorf("runner: %s cannot be resumed: it was measured on %v, this machine is %s; start a new run", dir, environment["cpu"], cpu)
	}
	began := map[string]string{}
	files, _ := manifest["model_files"].([]any)
	for _, f := range files {
		m, _ := f.(map[string]any)
		file, _ := m["file"].(string)
		began[file], _ = m["sha256"].(string)
	}
	for i := range p.Jobs {
		m := &p.Jobs[i].Model
		// A file that did not fit then, or does not now, has no hash to compare.
		if was := began[filepath.Base(m.File)]; was != m.SHA256 && was != "" && m.SHA256 != "" {
			return fmt.Errorf("runner: %s cannot be resumed: the content of %s has changed since it was started; start a new run", dir, m.File)
		}
	}
	return nil
}

// sameJSON compares two values by what they are in JSON.
func sameJSON(a, b any) bool {
	var texts [2]string
	for i, v := range []any{a, b} {
		data, err := json.Marshal(v)
		if err != nil {
			return false
		}
		var plain any // so that structs and maps print their keys in one order
		if err := json.Unmarshal(data, &plain); err != nil {
			return false
		}
		if data, err = json.Marshal(plain); err != nil {
			return false
		}
		texts[i] = string(data)
	}
	return texts[0] == texts[1]
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
	if r.Transient != nil { // hashes are known only now
		r.Manifest["model_files"] = modelFiles(r.Plan)
	}
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
