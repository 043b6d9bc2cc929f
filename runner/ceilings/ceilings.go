// Package ceilings is what a machine can do at most, as `llmscale probe` measures
// it: bandwidth by working-set size, arithmetic rate, and what it costs to start
// work. A run stores the ceilings of its own machine beside its records
// (ceilings.json), so that a latency can be read as a share of what was possible
// there and then. The package is pure data; package cuda/probe measures a GPU,
// package native a CPU.
package ceilings

import "time"

// SchemaVersion counts incompatible changes of File.
const SchemaVersion = 1

// FileName is the name of the artifact in a run's folder.
const FileName = "ceilings.json"

// File is ceilings.json: one entry for each device that a run used, and of a CPU
// for each number of threads.
type File struct {
	SchemaVersion int       `json:"schema_version"`
	Devices       []Device  `json:"devices"`
	MeasuredAt    time.Time `json:"measured_at"` // the first of them
}

// Kinds of device, as in a record's field device.
const (
	CPU  = "cpu"
	CUDA = "cuda"
)

// Device is one device's ceilings. A list is empty, and a pointer nil, where the
// device has no such thing or it was not measured; NotMeasured then says why.
type Device struct {
	Kind    string `json:"kind"`              // CPU or CUDA
	Name    string `json:"name"`              // of the processor or the GPU
	Threads int    `json:"threads,omitempty"` // of a CPU's figures: those that inference uses

	// Of a run that was resumed: all that its sessions have measured is kept.
	Session    int       `json:"session_idx,omitempty"`
	MeasuredAt time.Time `json:"measured_at,omitzero"`
	Quick      bool      `json:"quick,omitempty"`  // few passes, as before a run
	WallS      float64   `json:"wall_s,omitempty"` // what measuring took

	// Facts are what the figures depend on, of the machine and of the program, by their names in manifest.json. A
	// later session whose facts are the same uses the figures. Empty: not known.
	Facts map[string]string `json:"facts,omitempty"`

	Bandwidth []Bandwidth `json:"bandwidth"`
	Compute   []Compute   `json:"compute"`
	MatVec    []MatVec    `json:"matvec"`
	Launch    []Launch    `json:"launch"` // what it costs to start work: kernels of a GPU, a barrier of a CPU's threads

	// Peak figures of a GPU as its driver gives them, for the share of peak.
	PeakBytesPerS *float64 `json:"peak_bytes_per_s,omitempty"` // memory clock x bus width x 2

	SMClockMHz  *float64          `json:"sm_clock_mhz,omitempty"`  // while the compute probes ran, median; counted by the kernels themselves
	MemClockMHz *float64          `json:"mem_clock_mhz,omitempty"` // while the bandwidth probes ran, median
	Wrong       []string          `json:"wrong,omitempty"`         // probes whose answer was not the reference's: their figures are left out
	NotMeasured map[string]string `json:"not_measured,omitempty"`  // probe: why not
	Disturbed   []string          `json:"disturbed,omitempty"`     // what else the processors did meanwhile, where that lowers the figures
}

// Operations of Bandwidth. Bytes count what crosses the memory bus by the
// program's own account: a copy of n bytes moves 2n, a triad of n-byte arrays 3n.
const (
	Read  = "read"
	Write = "write"
	Copy  = "copy"
	Triad = "triad" // a = b + s*c in f32
)

// Bandwidth is the rate of one operation over a working set.
type Bandwidth struct {
	Op             string  `json:"op"`
	WorkingSetB    int64   `json:"working_set_bytes"` // all arrays together
	BytesPerPass   int64   `json:"bytes_per_pass"`    // moved by one pass
	BytesPerS      float64 `json:"bytes_per_s"`       // by the median pass
	BestBytesPerS  float64 `json:"best_bytes_per_s"`  // by the fastest pass
	Passes         int     `json:"passes"`
	Cold           bool    `json:"cold"`                    // caches flushed before each pass
	RelativeSpread float64 `json:"relative_spread"`         // interquartile range over median of the passes' times
	BlockThreads   int     `json:"block_threads,omitempty"` // launch shape of a GPU kernel that won
	GridBlocks     int     `json:"grid_blocks,omitempty"`
	Streams        int     `json:"streams,omitempty"` // of a CPU: runs of memory that each thread read side by side
}

// Units of Compute.
const (
	FMA32      = "fma_f32"           // multiply-adds of the vector units, 2 operations each
	TensorFP16 = "tensor_f16_f32acc" // tensor cores, f16 in, f32 accumulated
)

// Compute is a rate of arithmetic on registers: no memory in it.
type Compute struct {
	Unit           string   `json:"unit"`
	FlopPerS       float64  `json:"flop_per_s"`      // by the median pass
	BestFlopPerS   float64  `json:"best_flop_per_s"` // by the fastest
	Passes         int      `json:"passes"`
	PassMS         float64  `json:"pass_ms"` // median: short passes run at burst clocks
	RelativeSpread float64  `json:"relative_spread"`
	Sustained      bool     `json:"sustained,omitempty"`    // of a GPU: after seconds of the same work, when its power limit holds
	SMClockMHz     *float64 `json:"sm_clock_mhz,omitempty"` // of a GPU: after the last pass
}

// MatVec is a dequantising matrix-vector product at a shape of decode: rows x
// columns weights of one type times one vector. The vector is f32 for f16; for
// quantised weights it is quantised to 8 bits before, as llama.cpp does.
type MatVec struct {
	Type         string  `json:"type"` // f16, q8_0, q4_0
	Rows         int     `json:"rows"`
	Columns      int     `json:"columns"`
	WeightBytes  int64   `json:"weight_bytes"`
	US           float64 `json:"us"`          // median time of one product
	BytesPerS    float64 `json:"bytes_per_s"` // weight bytes over that
	Passes       int     `json:"passes"`
	Cold         bool    `json:"cold"`
	MaxError     float64 `json:"max_error"`     // against the CPU's product, relative to the largest entry
	MaxTolerated float64 `json:"max_tolerated"` // bound for MaxError
}

// Ways to start work, of Launch.
const (
	LaunchIsolated   = "isolated"     // one empty kernel at a time, stream idle before: host time from launch to done
	LaunchBackToBack = "back_to_back" // a long queue of empty kernels: device time for each
	LaunchGraph      = "graph"        // the same queue as one CUDA graph: device time for each
	Barrier          = "barrier"      // a CPU: all threads meet once, as between two operations of a graph
)

// Launch is the cost of starting one piece of work.
type Launch struct {
	How            string  `json:"how"`
	US             float64 `json:"us"` // median for one
	BestUS         float64 `json:"best_us"`
	Count          int     `json:"count"` // pieces in each pass
	Passes         int     `json:"passes"`
	RelativeSpread float64 `json:"relative_spread"`
}
