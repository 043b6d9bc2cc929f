package cells

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// Names of keys that are spoken of by name.
const (
	SettingKind         = "kind"
	SettingThreads      = "threads"
	SettingThreadsBatch = "threads_batch"
	SettingBatchSize    = "batch_size"
	SettingDType        = "dtype"
	SettingProgram      = "program"
	SettingPace         = "pace"
	SettingDevice       = "device"
	SettingGPULayers    = "n_gpu_layers"
	SettingVRAMLimit    = "vram_limit_gib"
	SettingMemoryLimit  = "memory_limit_mib"
	SettingMachine      = "machine" // of a merged run: the type of machine, which is no key of a config
)

// Setting is one setting in which the backends of a run may differ.
type Setting struct {
	Name     string // as in the config
	OnlyMode string // the only mode whose time it bears on; "": all
	Numbers  bool   // values are numbers, the least of which is the base
	Held     bool   // has no comparison here: backends that differ in it are kept apart
	Work     bool   // says what is done, not how: only backends that share it are ranked

	of func(*runs.Row) Value
}

// Value is what one backend has for a key.
type Value struct {
	ID     string // equal where the setting is
	Label  string // for a reader
	Number float64

	byThreads string // in place of ID where the number of threads differs; "": ID
}

func worded(s string) Value { return Value{ID: s, Label: s} }

func number(n int) Value {
	return Value{ID: strconv.Itoa(n), Label: strconv.Itoa(n), Number: float64(n)}
}

func flag(v bool) Value { return worded(strconv.FormatBool(v)) }

// The runner's batch_tokens and ubatch_tokens where the config has none (a test holds
// them to the config's).
const (
	DefaultBatch  = 2048
	DefaultUBatch = 512
)

// AllSettings are all settings, in the order in which they are spoken of.
var AllSettings = []Setting{
	{Name: SettingMachine, Held: true, Work: true, of: func(r *runs.Row) Value { return worded(r.MachineType) }},
	{Name: SettingKind, Held: true, Work: true, of: func(r *runs.Row) Value { return worded(r.BackendKind) }},
	{Name: SettingProgram, of: program},
	{Name: SettingDevice, of: func(r *runs.Row) Value { return worded(r.Device) }},
	{Name: SettingDType, of: func(r *runs.Row) Value { return worded(r.WeightType) }},
	{Name: SettingBatchSize, Numbers: true, Work: true, of: func(r *runs.Row) Value { return number(r.Sequences()) }},
	{Name: SettingThreads, OnlyMode: record.ModeDecode, Numbers: true, of: decodeThreads},
	{Name: SettingThreadsBatch, OnlyMode: record.ModePrefill, Numbers: true, of: func(r *runs.Row) Value { return number(r.ThreadsBatch()) }},
	{Name: SettingGPULayers, Numbers: true, of: gpuLayers},
	{Name: "flash_attn", of: func(r *runs.Row) Value { return worded(r.FlashAttention) }},
	{Name: "kv_type", of: func(r *runs.Row) Value {
		if r.KVTypeK == r.KVTypeV {
			return worded(r.KVTypeK)
		}
		return worded(r.KVTypeK + "/" + r.KVTypeV)
	}},
	{Name: "batch_tokens", Numbers: true, of: func(r *runs.Row) Value {
		v := number(r.NBatch)
		if r.NBatch == min(DefaultBatch, r.NCtx) {
			v.ID = "default" // it follows the context, which grows with the sequences
		}
		return v
	}},
	{Name: "ubatch_tokens", Numbers: true, of: func(r *runs.Row) Value {
		v := number(r.NUBatch)
		if r.NUBatch == min(DefaultUBatch, r.NBatch) {
			v.ID = "default" // it follows batch_tokens
		}
		return v
	}},
	{Name: "mmap", of: func(r *runs.Row) Value { return flag(r.UseMmap) }},
	{Name: "cuda_graphs", of: func(r *runs.Row) Value { return flag(r.CUDAGraphs == nil || *r.CUDAGraphs) }}, // nil on a CPU
	{Name: SettingPace, Work: true, of: pace},
	{Name: "cpu_affinity", of: affinity},
	{Name: "prio", Numbers: true, of: func(r *runs.Row) Value {
		if r.Nice == nil {
			return number(0)
		}
		return number(*r.Nice)
	}},
	{Name: "context_tokens", Numbers: true, of: func(r *runs.Row) Value { return number(r.NCtx / r.Sequences()) }},
	{Name: SettingMemoryLimit, Held: true, Work: true, of: func(r *runs.Row) Value {
		if r.MemoryLimitMiB == nil {
			return Value{Label: "no limit"}
		}
		return number(*r.MemoryLimitMiB)
	}},
	{Name: SettingVRAMLimit, Held: true, Work: true, of: func(r *runs.Row) Value {
		if r.VRAMLimitGiB == nil {
			return Value{Label: "the whole card"}
		}
		return worded(strconv.FormatFloat(*r.VRAMLimitGiB, 'g', -1, 64))
	}},
}

// decodeThreads are those of decode. A step of several sequences is computed by
// threads_batch, which older records do not say in n_threads.
func decodeThreads(r *runs.Row) Value {
	if r.Sequences() > 1 && (r.NThreadsBatch != nil || r.NThreadsBatchAsked > 0) {
		return number(r.ThreadsBatch())
	}
	return number(r.Threads())
}

// program is the build that measured: its path, as two may share a file name, and everything that says how it was
// built, so that two builds under one name are two.
func program(r *runs.Row) Value {
	v := Value{ID: strings.Join([]string{r.Program, r.LlamaCommit, r.LlamaSource, r.BuildCompiler, r.BuildFlags, r.CPUFeatures}, "\x00"), Label: r.Program}
	if r.Program == "" {
		v.Label = "self" // as the config has it
	}
	return v
}

// pace has how long was idled in it: a cold call after 5 ms is another one than
// after 20.
func pace(r *runs.Row) Value {
	switch {
	case r.Pace == nil: // of before there was a choice, or a server's
		return Value{Label: "unknown"}
	case r.IdleMS != nil && *r.Pace != record.PaceHot:
		return worded(fmt.Sprintf("%s (%d ms idle)", *r.Pace, *r.IdleMS))
	}
	return worded(*r.Pace)
}

// affinity is where the threads may run; of threads that are bound one by one, where
// each may. One thread more is bound to one processor more, which is no difference of
// its own: the first thread's stands for them.
func affinity(r *runs.Row) Value {
	if r.CPUAffinity == nil {
		return Value{Label: "unknown"}
	}
	v := worded(*r.CPUAffinity)
	v.byThreads, _, _ = strings.Cut(v.ID, " ")
	return v
}

// gpuLayers is "all" on a CPU too: what differs from a GPU then is the device alone.
func gpuLayers(r *runs.Row) Value {
	if n := r.NGPULayers; r.Device == "cuda" && n >= 0 && n <= r.NLayer {
		return number(n)
	}
	return Value{ID: "all", Label: "all", Number: 1e9}
}

// Settings are a backend's values, in the order of Keys.
type Settings []Value

// SettingsOf reads the settings under which a record was measured.
func SettingsOf(r *runs.Row) Settings {
	s := make(Settings, len(AllSettings))
	for i := range AllSettings {
		s[i] = AllSettings[i].of(r)
	}
	return s
}

// ValueOf reads one of the settings under which a record was measured.
func ValueOf(r *runs.Row, name string) Value { return AllSettings[Index(name)].of(r) }

// ValueOf is the value of a key. It panics on a name that no key has.
func (s Settings) Get(name string) Value { return s[Index(name)] }

func Index(name string) int {
	i := slices.IndexFunc(AllSettings, func(k Setting) bool { return k.Name == name })
	if i < 0 {
		panic("cells: no setting " + name)
	}
	return i
}

// Without identifies the settings but for the keys named: equal where all others are.
func (s Settings) Without(names ...string) string {
	threads := slices.Contains(names, SettingThreads) && slices.Contains(names, SettingThreadsBatch)
	var b strings.Builder
	for i, v := range s {
		if slices.Contains(names, AllSettings[i].Name) {
			continue
		}
		if threads && v.byThreads != "" {
			v.ID = v.byThreads
		}
		fmt.Fprintf(&b, "%s\x00", v.ID)
	}
	return b.String()
}

// Work identifies what is done under the settings: equal where backends may be ranked.
func (s Settings) Work() string {
	var b strings.Builder
	for i, v := range s {
		if AllSettings[i].Work {
			fmt.Fprintf(&b, "%s\x00", v.ID)
		}
	}
	return b.String()
}

// Differing names the keys in which two differ.
func (s Settings) Differing(o Settings) (names []string) {
	for i := range AllSettings {
		if s[i].ID != o[i].ID {
			names = append(names, AllSettings[i].Name)
		}
	}
	return names
}

// Words says a key's value as a reader would: "threads 2", "flash_attn on". The
// threads that bear on a phase are its threads, whatever the config calls them.
func (s Settings) Words(name string) string {
	label := s.Get(name).Label
	switch name {
	case SettingThreadsBatch:
		name = SettingThreads
	case SettingKind:
		return label
	}
	return name + " " + label
}

// Among says the settings in which some of all differ from s, but for the keys named.
// What a server decides and does not tell is no setting to name beside native ones.
func (s Settings) Among(all []Settings, but ...string) string {
	var words []string
	kind := s.Get(SettingKind).ID
	for i := range AllSettings {
		differs := func(o Settings) bool {
			return o[i].ID != s[i].ID && (o.Get(SettingKind).ID == kind || AllSettings[i].Name == SettingKind)
		}
		if !slices.Contains(but, AllSettings[i].Name) && slices.ContainsFunc(all, differs) {
			words = append(words, s.Words(AllSettings[i].Name))
		}
	}
	return strings.Join(slices.Compact(words), ", ")
}

// BearsOn reports whether the key bears on the times of a mode.
func (k *Setting) BearsOn(mode string) bool { return k.OnlyMode == "" || k.OnlyMode == mode }

// Order puts values of a key by number; others keep the order of the plan.
func (k *Setting) Order(x, y Value) int {
	if !k.Numbers {
		return 0
	}
	return cmp.Compare(x.Number, y.Number)
}
