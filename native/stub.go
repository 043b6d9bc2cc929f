//go:build !native

package native

import (
	"io"
	"log/slog"
	"time"

	"llmscale/runner/ceilings"
)

// Built says whether this binary holds llama.cpp.
const Built = false

// Model is a loaded model. This build has none.
type Model struct{}

// Context is a context of a model. This build has none.
type Context struct{}

// Load returns ErrNotBuilt.
func Load(string, ModelParams) (*Model, error) { return nil, ErrNotBuilt }

// HasGPU returns false.
func HasGPU() bool { return false }

// DisableCUDAGraphs does nothing.
func DisableCUDAGraphs() {}

// Close does nothing.
func (*Model) Close() error { return nil }

// Info returns the zero value.
func (*Model) Info() ModelInfo { return ModelInfo{} }

// Tokenize returns ErrNotBuilt.
func (*Model) Tokenize(string, bool) ([]int32, error) { return nil, ErrNotBuilt }

// TokenizeMarkup returns ErrNotBuilt.
func (*Model) TokenizeMarkup(string) ([]int32, error) { return nil, ErrNotBuilt }

// Detokenize returns ErrNotBuilt.
func (*Model) Detokenize([]int32) (string, error) { return "", ErrNotBuilt }

// NewContext returns ErrNotBuilt.
func (*Model) NewContext(ContextParams) (*Context, error) { return nil, ErrNotBuilt }

// Close does nothing.
func (*Context) Close() error { return nil }

// NCtx returns 0.
func (*Context) NCtx() int { return 0 }

// Info returns ErrNotBuilt.
func (*Context) Info() (ContextInfo, error) { return ContextInfo{}, ErrNotBuilt }

// Team returns ErrNotBuilt.
func (*Context) Team(bool) (Team, error) { return Team{}, ErrNotBuilt }

// Memory returns ErrNotBuilt.
func (*Context) Memory() ([]BufferMemory, error) { return nil, ErrNotBuilt }

// Clear does nothing.
func (*Context) Clear() {}

// Measure returns ErrNotBuilt.
func (*Context) Measure([]int32, int) (*Measurement, error) { return nil, ErrNotBuilt }

// MeasureCall returns ErrNotBuilt.
func (*Context) MeasureCall(Call) (*Measurement, error) { return nil, ErrNotBuilt }

// Eval returns ErrNotBuilt.
func (*Context) Eval([]int32) ([]float32, error) { return nil, ErrNotBuilt }

// EvalAll returns ErrNotBuilt.
func (*Context) EvalAll([]int32) ([][]float32, error) { return nil, ErrNotBuilt }

// SelfCheck returns ErrNotBuilt.
func (*Context) SelfCheck([]int32, time.Duration) (SelfCheck, error) { return SelfCheck{}, ErrNotBuilt }

// BatchCheck returns ErrNotBuilt.
func (*Context) BatchCheck([][]int32, int, int, time.Duration) (BatchCheck, error) {
	return BatchCheck{}, ErrNotBuilt
}

// TraceSteps returns ErrNotBuilt.
func (*Context) TraceSteps([]int32, int) (*Trace, error) { return nil, ErrNotBuilt }

// TraceOps returns ErrNotBuilt.
func (*Context) TraceOps([]int32, int) (*Trace, error) { return nil, ErrNotBuilt }

// Placement returns ErrNotBuilt.
func (*Context) Placement([]int32) (Placement, error) { return Placement{}, ErrNotBuilt }

// MemoryReadRate returns ErrNotBuilt.
func MemoryReadRate(int) (float64, error) { return 0, ErrNotBuilt }

// ReadBandwidth returns ErrNotBuilt.
func ReadBandwidth(int64, int, int) ([]float64, error) { return nil, ErrNotBuilt }

// MultiplyAddRate returns ErrNotBuilt.
func MultiplyAddRate(int) (float64, error) { return 0, ErrNotBuilt }

// ProbeCPU returns ErrNotBuilt.
func ProbeCPU(ProbeOptions) (ceilings.Device, error) { return ceilings.Device{}, ErrNotBuilt }

// Build returns ErrNotBuilt.
func Build() (BuildInfo, error) { return BuildInfo{}, ErrNotBuilt }

// RouteLog does nothing.
func RouteLog(*slog.Logger) {}

// EchoLog does nothing.
func EchoLog(io.Writer) {}

// DefaultSignals does nothing.
func DefaultSignals() {}
