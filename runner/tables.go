package runner

import (
	"slices"
	"strconv"
	"strings"

	"llmscale/runner/record"
	"llmscale/runner/store"
)

// Columns of the run's small tables.
var (
	LoadsColumns  = []string{"model", "device", "dtype", "hf_load_ms"}
	ParamsColumns = []string{"model", "kind", "params_millions_config", "params_millions_measured", "parameter_size_raw",
		"quantization_level", "family", "device", "dtype"}
)

// SortParams brings rows with ParamsColumns into their order.
func SortParams(rows [][]string) {
	slices.SortStableFunc(rows, func(a, b []string) int {
		return strings.Compare(a[0]+"\x00"+a[8], b[0]+"\x00"+b[8])
	})
}

// writeLoads lists how long each load of this and earlier sessions took.
func (r *Run) writeLoads() error {
	rows := [][]string{LoadsColumns}
	for i := range r.Previous {
		p := &r.Previous[i]
		if p.ModelLoadMS != nil && p.Mode == record.ModePrefill {
			rows = append(rows, []string{p.Model, p.Device, r.dtype(p.Backend), formatFloat(*p.ModelLoadMS)})
		}
	}
	for _, l := range r.loads {
		rows = append(rows, []string{l.model, l.device, l.dtype, formatFloat(l.ms)})
	}
	return r.Store.WriteCSV(store.LoadsFile, rows)
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
	rows := [][]string{ParamsColumns}
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
	SortParams(rows[1:])
	return r.Store.WriteCSV(store.ParamsFile, rows)
}

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
