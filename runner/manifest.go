package runner

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"llmscale/internal/address"
	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/store"
)

// States of a run in its manifest.
const (
	StateRunning     = "running" // or killed: a finished coordinator writes another
	StateCompleted   = "completed"
	StateInterrupted = "interrupted"
	StateFailed      = "failed"     // the run as a whole; failed cells leave it completed
	StateIncomplete  = "incomplete" // merged of shards that lack calls, or of which some were not there
)

// Overrides are what the command line changed in the config, kept so that
// --resume sees the same config.
type Overrides struct {
	Models            []string `json:"models"`
	Backends          []string `json:"backends"`
	Scenarios         []string `json:"scenarios"`
	Replicates        *int     `json:"replicates,omitempty"`
	Repetitions       *int     `json:"repetitions"`
	WarmupRepetitions *int     `json:"warmup_repetitions"`
	GenTokens         *int     `json:"gen_tokens"`
	Seed              *int64   `json:"seed"`
	MaxParams         *int64   `json:"max_params"` // models with more parameters are left out; nil: none are
}

// Apply changes the config. Ladders have become their rungs before models are
// chosen from it.
func (o Overrides) Apply(cfg *config.Config, models *modelfile.Folder) error {
	if err := modelfile.ExpandLadders(cfg); err != nil {
		return err
	}
	if err := cfg.Filter(o.Models, o.Backends, o.Scenarios); err != nil {
		return err
	}
	if o.MaxParams != nil {
		if err := models.LeaveOutLarger(cfg, *o.MaxParams, o.Models); err != nil {
			return err
		}
	}
	return errors.Join(
		cfg.Filter(nil, nil, nil), // backends that are left without a model
		cfg.Override(config.Overrides{
			Replicates: o.Replicates, Repetitions: o.Repetitions, WarmupRepetitions: o.WarmupRepetitions, GenTokens: o.GenTokens, Seed: o.Seed,
		}))
}

// Manifest is manifest.json: what a run is and was made by, and where it stands, with TR121's keys. What a file holds
// beside these fields, as those of another version may, stays as it is.
type Manifest struct {
	SchemaVersion int           `json:"schema_version"`
	RunID         string        `json:"run_id"`
	RunName       string        `json:"run_name"`
	RunState      string        `json:"run_state"`
	Sessions      []SessionNote `json:"sessions"`

	Argv         []string        `json:"argv"`
	ConfigPath   string          `json:"config_path"`
	ConfigDir    *string         `json:"config_dir,omitempty"` // nil in old ones
	ConfigSHA256 string          `json:"config_sha256"`
	Resolved     json.RawMessage `json:"resolved"`
	Overrides    Overrides       `json:"overrides"`

	GitHead       string                    `json:"git_head"`
	Platform      map[string]string         `json:"platform"`
	Environment   machine.Machine           `json:"environment"`       // of the first session
	Machines      map[string]record.Machine `json:"machines,omitzero"` // that measured, by record.MachineID
	Build         json.RawMessage           `json:"llmscale"`          // what `llmscale version` says
	Programs      []ProgramEntry            `json:"programs"`          // that backends name
	CUDAAvailable bool                      `json:"cuda_available"`
	GPUs          map[string]*protocol.GPU  `json:"gpus,omitzero"` // that models were loaded on, by UUID

	Replicates        int      `json:"replicates"`           // blocks that are planned or were added; 0 in old ones: there was one
	StoppedBy         string   `json:"stopped_by,omitempty"` // of a run with target_ci: target_ci or time_budget_min
	Remeasured        []Again  `json:"remeasured,omitempty"`
	DisturbedCells    int      `json:"disturbed_cells,omitempty"` // at its end: with fewer undisturbed processes than replicates
	Repetitions       int      `json:"repetitions"`
	WarmupRepetitions int      `json:"warmup_repetitions"`
	GenTokens         int      `json:"gen_tokens"`
	Seed              string   `json:"seed"`
	TaskCount         int      `json:"task_count"`
	Modes             []string `json:"modes"`
	RecordsExpected   int      `json:"records_expected"`
	PlanSHA256        string   `json:"plan_sha256"`

	Shard  *ShardNote `json:"shard,omitempty"`  // nil: all of the plan
	Merged *MergeNote `json:"merged,omitempty"` // nil: one run measured it

	ModelsDir       string      `json:"models_dir"`        // absolute
	ModelsDirInRun  string      `json:"models_dir_in_run"` // as seen from the run's folder, "" where it does not lie in it
	ModelsDiscarded bool        `json:"models_discarded"`  // each once it is measured
	DiscardDir      string      `json:"discard_dir,omitempty"`
	ModelFiles      []ModelFile `json:"model_files"`

	Warnings       []Warning         `json:"warnings,omitempty"` // seen while it ran
	CellsByStatus  map[string]int    `json:"cells_by_status,omitzero"`
	RecordsWritten *int              `json:"records_written,omitempty"`
	Results        map[string]string `json:"results,omitzero"` // names of the run's files

	raw map[string]json.RawMessage // as it was read
}

// SessionNote is what a manifest tells of one session.
type SessionNote struct {
	StartedAt        float64    `json:"started_at_unix"`
	Argv             []string   `json:"argv"`
	LoadAverage      float64    `json:"load_average_1m"`
	Ceilings         *ProbeNote `json:"ceilings,omitempty"`
	EndedAt          *float64   `json:"ended_at_unix,omitempty"`
	RecordsWritten   *int       `json:"records_written,omitempty"`
	LoadAverageAtEnd *float64   `json:"load_average_1m_end,omitempty"`
}

// ProbeNote is what came of a session's probe.
type ProbeNote struct {
	WallS       float64           `json:"wall_s"`
	Devices     int               `json:"devices"` // that were measured
	Reused      int               `json:"reused"`  // of which an earlier session's figures hold
	NotMeasured map[string]string `json:"not_measured"`
}

// ShardNote says which part of a plan a run has measured. What the manifest says of blocks, cells and records is of this part.
type ShardNote struct {
	plan.Shard
	plan.Whole
}

// MergeNote says of which shards a run was merged.
type MergeNote struct {
	PlanSHA256 string        `json:"whole_plan_sha256"`
	Of         int           `json:"of"`
	Split      string        `json:"split"`
	Shards     []MergedShard `json:"shards"`
	Missing    []int         `json:"missing"` // shards that were not there
}

// MergedShard is one of them.
type MergedShard struct {
	Shard   int    `json:"shard"`
	Folder  string `json:"folder"` // its name
	State   string `json:"run_state"`
	Records int    `json:"records"`
	Lacking int    `json:"lacking"` // planned repetitions that a resumed session would make
}

// newManifest is that of a new run in the store's folder; build is what `llmscale version` says. modelsDir is an absolute
// path.
func newManifest(s *store.Folder, id string, p *plan.Plan, o Overrides, modelsDir string, build any) (*Manifest, error) {
	cfg, here, dir := p.Config, machine.This(), p.Config.Dir()
	inside, err := paths.Inside(s.Dir, modelsDir)
	if err != nil {
		return nil, err
	}
	m := &Manifest{
		SchemaVersion: record.SchemaVersion, RunID: id, RunName: cfg.RunName, RunState: StateRunning, Sessions: []SessionNote{},
		Argv: address.RedactAll(os.Args), ConfigPath: cfg.File(), ConfigDir: &dir, ConfigSHA256: cfg.SHA256(), Overrides: o, GitHead: gitHead(),
		Platform:    map[string]string{"os": here.OS, "machine": here.Arch, "processor": here.CPU, "go": here.GoVersion},
		Environment: here, Programs: programEntries(p),
		Replicates: len(p.Own()), Repetitions: cfg.Repetitions, WarmupRepetitions: cfg.WarmupRepetitions, GenTokens: cfg.GenTokens, Seed: strconv.FormatInt(cfg.Seed, 10),
		TaskCount: p.OwnCells(), Modes: record.Modes, RecordsExpected: p.RecordsExpected(), PlanSHA256: p.SHA256(),
		ModelsDir: modelsDir, ModelsDirInRun: inside, ModelFiles: modelFiles(p, nil),
	}
	if p.Whole != nil {
		m.Shard = &ShardNote{p.Shard, *p.Whole}
	}
	if m.Build, err = json.Marshal(build); err != nil {
		return nil, fmt.Errorf("%s: %w", store.ManifestFile, err)
	}
	m.Resolved, err = json.Marshal(map[string]any{
		"config": cfg.Resolved(), "scenarios": cfg.Scenarios, "models": cfg.Models, "backends": cfg.Backends,
		"filters": map[string]any{"models_allowlist": o.Models, "backends_allowlist": o.Backends, "scenarios_allowlist": o.Scenarios},
	})
	return m, err
}

// Write writes manifest.json anew, with sorted keys.
func (m *Manifest) Write(s *store.Folder) error {
	fields, err := json.Marshal(m)
	all := maps.Clone(m.raw)
	if err == nil {
		err = json.Unmarshal(fields, &all)
	}
	var data []byte
	if err == nil {
		data, err = json.MarshalIndent(all, "", "  ")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", store.ManifestFile, err)
	}
	return s.WriteFile(store.ManifestFile, append(text.JSON(data), '\n'))
}

// ReadManifest reads manifest.json of a run folder. A field that has another form, as in some of another version, is read
// as if it were not there.
func ReadManifest(dir string) (*Manifest, error) {
	data, err := os.ReadFile(filepath.Join(dir, store.ManifestFile))
	if err != nil {
		return nil, fmt.Errorf("%s is not a run folder: %w", dir, err)
	}
	m := &Manifest{}
	err = json.Unmarshal(data, &m.raw)
	switch {
	case err == nil && m.raw == nil:
		err = errors.New("want a JSON object")
	case err == nil:
		err = json.Unmarshal(data, m)
	}
	if other := (*json.UnmarshalTypeError)(nil); err != nil && (m.raw == nil || !errors.As(err, &other)) {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, store.ManifestFile), err)
	}
	return m, nil
}

// Whole is the manifest of the run that a shard is a part of, as far as the shard tells.
func (m *Manifest) Whole() *Manifest {
	out := *m
	out.raw = maps.Clone(m.raw)
	delete(out.raw, "shard")
	out.Shard, out.Replicates, out.TaskCount, out.RecordsExpected = nil, m.Shard.Blocks, m.Shard.Cells, m.Shard.Records
	return &out
}

// modelsDir is where the run in dir keeps its models: where they were, or, if that is
// in the run's folder, where the folder is now.
func (m *Manifest) modelsDir(dir string) (string, error) {
	if m.ModelsDirInRun != "" {
		return paths.Absolute(filepath.Join(dir, m.ModelsDirInRun))
	}
	return paths.Absolute(m.ModelsDir)
}

// config reads the config of the run in dir as it ran: the copy of the file, with the same paths and overrides.
func (m *Manifest) config(dir string, models *modelfile.Folder) (*config.Config, error) {
	var o Overrides
	if err := json.Unmarshal([]byte(cmp.Or(string(m.raw["overrides"]), "null")), &o); err != nil { // not as if there were none
		return nil, fmt.Errorf("%s: overrides: %w", filepath.Join(dir, store.ManifestFile), err)
	}
	text, err := os.ReadFile(filepath.Join(dir, store.ConfigFile))
	if err != nil {
		return nil, err
	}
	// Under its original name and from its folder, so that its run_name and relative
	// model paths mean what they did.
	from := filepath.Dir(m.ConfigPath)
	if m.ConfigDir != nil {
		from = *m.ConfigDir
	}
	cfg, err := config.ParseAt(m.ConfigPath, from, text)
	if err != nil {
		return nil, err
	}
	return cfg, o.Apply(cfg, models)
}

// resumable compares a new plan with the one that the manifest's run
// carried out: the same work, by the same build on the same kind of machine.
// Anything else would mix two things in one cell. build is what newManifest got.
// What the plan's files hold is for sameContents, once they are there.
func (m *Manifest) resumable(p *plan.Plan, build any) error {
	switch cpu := machine.This().CPU; {
	case m.PlanSHA256 != p.SHA256():
		return errors.New("its models or config have changed since it was started; start a new run")
	case !text.SameJSON(m.Build, build):
		return errors.New("it was measured by another build of llmscale (its manifest says which); use that one, or start a new run")
	case m.Environment.CPU != cpu:
		return fmt.Errorf("it was measured on %s, this machine is %s; start a new run", m.Environment.CPU, cpu)
	}
	return errors.Join(m.checkAgain(p), checkPrograms(m.Programs, p))
}

// sameContents compares the content of a prepared plan's files with what the
// manifest's run has loaded.
func (m *Manifest) sameContents(p *plan.Plan) error {
	loaded := loadedFiles(m, nil)
	for i := range p.Jobs {
		if err := loaded.check(&p.Jobs[i]); err != nil {
			return err
		}
	}
	return nil
}

// session is what the manifest tells of the session that goes on.
func (m *Manifest) session() *SessionNote { return &m.Sessions[len(m.Sessions)-1] }

// begin notes the session in the manifest, before the first call.
func (r *Run) begin() error {
	r.Manifest.Sessions = append(r.Manifest.Sessions, SessionNote{StartedAt: unixNow(), Argv: address.RedactAll(os.Args), LoadAverage: machine.LoadAverage()})
	r.Manifest.RunState = StateRunning
	r.Manifest.StoppedBy = ""
	here := thisMachine(r.Plan.Config)
	r.machine = new(here.ID())
	if r.Manifest.Machines == nil {
		r.Manifest.Machines = map[string]record.Machine{}
	}
	r.Manifest.Machines[*r.machine] = here
	if err := errors.Join(r.Store.RemoveSums(), r.Manifest.Write(r.Store)); err != nil {
		return err
	}
	r.begun = true
	return nil
}

// thisMachine is what records and manifest tell of the machine.
func thisMachine(cfg *config.Config) record.Machine {
	here := machine.This()
	m := record.Machine{CPU: here.CPU, Cores: machine.Processors(), MemoryGiB: machine.NominalMemoryGiB(here.MemoryBytes), Node: machine.Node()}
	if m.GPUs, m.Driver = machine.GPUs(); m.GPUs == nil {
		m.GPUs = []string{}
	}
	if cfg.NodeNames != config.NodeNamesPlain {
		m.Node = record.HashedNode(m.Node)
	}
	return m
}

func unixNow() float64 { return float64(time.Now().UnixNano()) / 1e9 }

// noteGPU puts a card into the manifest, with what its driver says of it, the
// first time that a model is loaded on it.
func (r *Run) noteGPU(gpu *protocol.GPU) {
	if gpu == nil {
		return
	}
	r.Manifest.CUDAAvailable = true
	if r.Manifest.GPUs[gpu.UUID] == nil {
		if r.Manifest.GPUs == nil {
			r.Manifest.GPUs = map[string]*protocol.GPU{}
		}
		r.Manifest.GPUs[gpu.UUID] = gpu
	}
}

// noteBlocks notes that blocks were added, before the first call of the last: a run that is killed in it is not complete.
func (r *Run) noteBlocks() error {
	r.Manifest.Replicates, r.Manifest.RecordsExpected = len(r.Plan.Blocks), r.Plan.RecordsExpected()
	return r.Manifest.Write(r.Store)
}

// end completes the artifacts: metrics.csv, the small tables, the manifest.
func (r *Run) end(sum Summary) error {
	m := r.Manifest
	ended, load := unixNow(), machine.LoadAverage()
	s := m.session()
	s.EndedAt, s.RecordsWritten, s.LoadAverageAtEnd = &ended, &sum.Records, &load
	m.RunState = StateCompleted
	switch {
	case sum.Interrupted:
		m.RunState = StateInterrupted
	case len(r.outcome) < r.Plan.Turns():
		m.RunState = StateFailed
	}
	m.ModelFiles = modelFiles(r.Plan, r.loaded) // hashes of transient models are known only now
	written := len(r.Previous) + sum.Records
	m.CellsByStatus, m.RecordsWritten, m.DisturbedCells = sum.ByStatus, &written, sum.Disturbed
	m.Results = Results()
	if _, err := os.Stat(filepath.Join(r.Store.Dir, ceilings.FileName)); err == nil {
		m.Results["ceilings_json"] = ceilings.FileName
	}
	return errors.Join(
		r.Store.WriteMetrics(),
		r.writeLoads(),
		r.writeParams(),
		m.Write(r.Store),
		r.Store.WriteSums(nil))
}

// Results are the names of the files that every run has.
func Results() map[string]string {
	return map[string]string{"metrics_csv": store.MetricsFile, "runs_jsonl": store.RunsFile, "hf_load_ms_csv": store.LoadsFile, "resolved_model_params_csv": store.ParamsFile}
}

// gitHead is the commit of the working directory's checkout, with "-dirty" if it
// has changes; "" where there is none.
func gitHead() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*").Output()
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(out))
}
