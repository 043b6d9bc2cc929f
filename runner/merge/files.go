package merge

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"llmscale/runner"
	"llmscale/runner/ceilings"
	"llmscale/runner/record"
	"llmscale/runner/store"
)

// wholeManifest is the merged run's, before its records are counted. What the shards have in common is the first's.
func wholeManifest(all []*source) *runner.Manifest {
	first := all[0].shard()
	m := all[0].m.Whole()
	m.Merged = &runner.MergeNote{PlanSHA256: first.PlanSHA256, Of: first.Of, Split: first.Split, Shards: []runner.MergedShard{}, Missing: missing(all)}
	m.Argv = withoutShard(m.Argv)
	m.ModelFiles, m.ModelsDirInRun = modelFiles(all), ""
	m.Sessions, m.Warnings, m.GPUs, m.Machines, m.Results, m.StoppedBy = nil, nil, nil, nil, runner.Results(), ""
	machines := map[string]record.Machine{}
	for _, s := range all {
		s.sessions = len(m.Sessions)
		m.Sessions = append(m.Sessions, s.m.Sessions...)
		for _, w := range s.m.Warnings {
			if !slices.Contains(m.Warnings, w) {
				m.Warnings = append(m.Warnings, w)
			}
		}
		for uuid, gpu := range s.m.GPUs {
			if m.GPUs == nil {
				m.GPUs = maps.Clone(s.m.GPUs)
			}
			m.GPUs[uuid] = gpu
		}
		for id, machine := range s.m.Machines {
			if machines[id] = machine; m.Machines == nil {
				m.Machines = machines
			}
		}
		m.CUDAAvailable = m.CUDAAvailable || s.m.CUDAAvailable
	}
	return m
}

// missing are the numbers of the shards that are not there.
func missing(all []*source) []int {
	out, at := []int{}, 0
	for n := 1; n <= all[0].shard().Of; n++ {
		if at < len(all) && all[at].shard().Index == n {
			at++
		} else {
			out = append(out, n)
		}
	}
	return out
}

// withoutShard is the command that measures the whole plan.
func withoutShard(argv []string) (out []string) {
	for i := 0; i < len(argv); i++ {
		name, _, joined := strings.Cut(strings.TrimLeft(argv[i], "-"), "=")
		if strings.HasPrefix(argv[i], "-") && slices.Contains([]string{"shard", "split", "out"}, name) {
			if !joined {
				i++
			}
			continue
		}
		out = append(out, argv[i])
	}
	return out
}

func (w *writer) copyConfig() error {
	data, err := os.ReadFile(filepath.Join(w.all[0].dir, store.ConfigFile))
	if err != nil {
		return err
	}
	return w.folder.WriteFile(store.ConfigFile, data)
}

// writeCeilings joins what the shards' machines can do at most.
func (w *writer) writeCeilings() error {
	var all ceilings.File
	for _, s := range w.all {
		f, err := ceilings.Load(filepath.Join(s.dir, ceilings.FileName))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, d := range f.Devices {
			d.Session += s.sessions
			all.Devices = append(all.Devices, d)
		}
		if all.MeasuredAt.IsZero() || f.MeasuredAt.Before(all.MeasuredAt) {
			all.MeasuredAt = f.MeasuredAt.In(time.UTC)
		}
	}
	if all.Devices == nil {
		return nil
	}
	w.manifest.Results["ceilings_json"] = ceilings.FileName
	return all.Write(filepath.Join(w.folder.Dir, ceilings.FileName))
}

// writeTables writes the run's small tables.
func (w *writer) writeTables() error {
	var resolved struct {
		Backends []struct{ Name, DType string }
	}
	_ = json.Unmarshal(w.manifest.Resolved, &resolved) // of another form: no types are told
	dtype := map[string]string{}
	for _, b := range resolved.Backends {
		dtype[b.Name] = b.DType
	}
	loads := [][]string{runner.LoadsColumns}
	for _, l := range w.loads {
		loads = append(loads, []string{l[0], l[1], dtype[l[2]], l[3]})
	}
	params := [][]string{runner.ParamsColumns}
	for _, k := range slices.SortedFunc(maps.Keys(w.params), func(a, b pair) int {
		return strings.Compare(a.model+"\x00"+a.backend, b.model+"\x00"+b.backend)
	}) {
		params = append(params, append(w.params[k], dtype[k.backend]))
	}
	runner.SortParams(params[1:])
	return errors.Join(w.folder.WriteCSV(store.LoadsFile, loads), w.folder.WriteCSV(store.ParamsFile, params))
}

// paramsRow is what a record tells of its model, but for the last column.
func paramsRow(r *record.Record) []string {
	claim := ""
	if r.ParamsMillionsConfig != nil {
		claim = number(*r.ParamsMillionsConfig)
	}
	return []string{r.Model, r.ModelKind, claim, number(r.ParamsMillions), strconv.FormatInt(r.ParamsTotal, 10), r.WeightType, r.Architecture, r.Device}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
