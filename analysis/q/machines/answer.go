// Package machines asks what the machines of a run differ by: whether one is slower than others of its type, and how
// types compare over the sizes. It is asked of runs that several machines measured.
package machines

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
)

// Answer is empty where one machine measured the run.
type Answer struct {
	finding.Notes
	set *cells.Set

	Machines []Machine `json:"machines,omitempty"`
	Sizes    []Size    `json:"machine_types,omitempty"` // of several types
}

// Machine is one of those that measured.
type Machine struct {
	ID        string   `json:"machine_id" doc:"the machine, as records have it; empty for records that name none"`
	Type      string   `json:"type" doc:"name of its type, which ends the names of its backends; empty where all are of one type"`
	CPU       string   `json:"cpu" doc:"processor"`
	Cores     int      `json:"logical_cores" zero:"unknown" doc:"of the machine, whatever a job may use"`
	MemoryGiB float64  `json:"memory_gib" unit:"GiB" zero:"unknown" doc:"memory, rounded up to what is sold"`
	GPUs      []string `json:"gpus" sep:", " doc:"names of the cards that the driver knows"`
	Driver    string   `json:"gpu_driver" doc:"version of the cards' driver"`
	Node      string   `json:"node" doc:"name of the machine, or its hash"`

	Processes int `json:"processes" doc:"processes of cells that were measured on it: of each cell one in each block"`
	Cells     int `json:"cells" doc:"cells that another machine of its type measured too, over which it is compared: prefill and decode"`

	Times   *float64        `json:"times_others" doc:"its times over those of the other machines of its type: geometric mean over these cells"`
	TimesCI *stats.Interval `json:"times_others_ci" doc:"95 % interval, by the scatter of blocks on a machine; of machines of one block each by the scatter of the others"`
	P       *float64        `json:"p" doc:"p of its being as fast as the others"`
	Slow    bool            `json:"slow" doc:"5 % slower and more, and shown to be slower: p below 5 % over the number of machines"`

	CanaryRead    *float64 `json:"canary_read_times_others" doc:"the same of the known reading before each call, by medians"`
	CanaryCompute *float64 `json:"canary_compute_times_others" doc:"the same of the known computing before each call"`
}

// Size is a model's time on one type of machine.
type Size struct {
	Backend   string          `json:"backend" doc:"name of the backend in the config"`
	BatchSize int             `json:"batch_size" unit:"sequences" doc:"sequences decoded together"`
	Model     string          `json:"model" doc:"name of the model"`
	ParamsM   *float64        `json:"params_millions_effective" unit:"1e6" doc:"parameters: measured where known, else the config's"`
	Mode      string          `json:"mode" doc:"prefill or kv_decode"`
	Type      string          `json:"type" doc:"name of the type of machine"`
	MS        float64         `json:"typical_ms" unit:"ms" doc:"of a prefill, or of a decode step: geometric mean over the scenarios"`
	CI        *stats.Interval `json:"typical_ci" csv:"typical_*_ms" unit:"ms" doc:"its 95 % interval"`
	First     string          `json:"first_type" doc:"the type that it is compared with"`
	Ratio     *float64        `json:"ratio_to_first" doc:"of the times, over that type's; empty for the type itself"`
	RatioCI   *stats.Interval `json:"ratio_to_first_ci" doc:"its 95 % interval; types measure blocks of their own, so that nothing drops out"`
	Basis     string          `json:"basis" doc:"of the intervals: processes (over machines where three of a type measured the model), or 'one process'"`
}

// Ask asks the cells of a run.
func Ask(c *cells.Set) *Answer {
	a := &Answer{set: c}
	if len(c.Machines) == 0 {
		return a
	}
	a.machines()
	a.canaries()
	a.sizes()
	a.slow()
	return a
}

// Tables are the CSV files.
func (a *Answer) Tables() []finding.Table {
	return []finding.Table{
		finding.TableOf("machines.csv", "The machines that measured a run of several, and how each compares with the others of its type.", a.Machines, ""),
		finding.TableOf("machine_types.csv", "Types of machine side by side: the times of each model under one backend of the config. Over the scenarios of the least depth.", a.Sizes, ""),
	}
}
