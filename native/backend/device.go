package backend

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/runner/config"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// device is the GPU around llama.cpp's work on it: its memory, its sensors, and
// who else uses it. cuda.go has the one there is.
type device interface {
	GPU() *protocol.GPU
	// Memory returns how much of the device's memory is free, and all of it, in bytes.
	Memory() (free, total int64, err error)
	// Reserve takes bytes of the device's memory for as long as the device is open.
	Reserve(bytes int64) error
	// Sample reads the sensors in that interval from now on, until Close.
	Sample(every time.Duration) error
	// Windows is what the sensors said during each mode's phase, which lasted from one
	// reading of CLOCK_MONOTONIC to another, in ns.
	Windows(phases map[string][2]int64) map[string]protocol.Window
	// Spoilt says who else has used the device since it was opened, one sentence for
	// each program. unknown is why that cannot be told, or "".
	Spoilt() (others []string, unknown string)
	Close() error
}

// accelerator is a device with what the backend keeps of it for its records.
type accelerator struct {
	device
	sampling bool

	beforeMiB, loadedMiB, contextMiB *float64 // device memory in use
	weightsMiB, kvMiB, computeMiB    *float64 // by llama.cpp's account

	audited   bool // whether place was called, whatever came of it
	placement *native.Placement
	missing   map[string]string // fields that stay null: why
}

// Available returns nil where this program can run models on a GPU of this
// machine, else one sentence that says what is missing.
func Available() error {
	build, err := native.Build()
	switch {
	case err != nil:
		return err
	case build.CUDA:
		return checkDevice()
	case build.CUDAToolkit != "":
		return errors.New("this program was built without ggml-cuda (CUDA=check); `make CUDA=1 build` builds it with")
	}
	return errors.New("this program was built for the CPU; `make CUDA=1 build` builds it for the GPU")
}

// openAccelerator opens the GPU and makes it as small as the backend wants it.
func openAccelerator(spec protocol.LoadSpec) (*accelerator, error) {
	if err := Available(); err != nil {
		return nil, record.Failf(record.StatusWaived, "device cuda: %v", err)
	}
	d, err := openDevice()
	if err != nil {
		return nil, fmt.Errorf("device cuda: %w", err)
	}
	a := &accelerator{device: d, missing: map[string]string{}}
	if err := a.prepare(spec); err != nil {
		d.Close()
		return nil, err
	}
	return a, nil
}

func (a *accelerator) prepare(spec protocol.LoadSpec) error {
	if spec.VRAMLimitGiB > 0 {
		_, total, err := a.Memory()
		if err != nil {
			return err
		}
		limit := int64(spec.VRAMLimitGiB * (1 << 30))
		if limit > total {
			return record.Failf(record.StatusWaived, "device cuda: vram_limit_gib %g is more than the %s of this card", spec.VRAMLimitGiB, text.Size(total))
		}
		if err := a.Reserve(total - limit); err != nil {
			return fmt.Errorf("reserving all but %g GiB of device memory: %w", spec.VRAMLimitGiB, err)
		}
	}
	if !spec.CUDAGraphs {
		native.DisableCUDAGraphs()
	}
	var err error
	if a.beforeMiB, err = a.used(); err != nil {
		return err
	}
	if spec.TelemetryMS > 0 {
		if err := a.Sample(time.Duration(spec.TelemetryMS) * time.Millisecond); err != nil {
			a.missing["telemetry_samples"] = err.Error()
		} else {
			a.sampling = true
		}
	} else {
		a.missing["telemetry_samples"] = "telemetry_ms is 0"
	}
	return nil
}

// used is how much device memory is in use, by all programs, in MiB.
func (a *accelerator) used() (*float64, error) {
	free, total, err := a.Memory()
	if err != nil {
		return nil, err
	}
	return ptr(mib(total - free)), nil
}

// layers is the number of layers to load for what the config asks for.
func (a *accelerator) layers(spec protocol.LoadSpec, m native.ModelParams, c native.ContextParams) (int, error) {
	most := spec.Layers + 1 // the output head is one more
	switch spec.GPULayers {
	case config.AllLayers:
		return most, nil
	case config.FitLayers:
		free, _, err := a.Memory()
		if err != nil {
			return 0, err
		}
		return native.FitLayers(spec.ModelFile, m, c, most, free)
	}
	return min(spec.GPULayers, most), nil
}

// account keeps what llama.cpp says it allocated on the device.
func (a *accelerator) account(ctx *native.Context) {
	buffers, err := ctx.Memory()
	if err != nil {
		for _, field := range []string{"vram_weights_mib", "vram_kv_mib", "vram_compute_mib"} {
			a.missing[field] = err.Error()
		}
		return
	}
	b := native.OnDevice(buffers)
	a.weightsMiB, a.kvMiB, a.computeMiB = ptr(mib(b.ModelBytes)), ptr(mib(b.ContextBytes)), ptr(mib(b.ComputeBytes))
}

// room tells whether the device has memory for a second context. Near the memory
// wall it has not, and ggml-cuda would end the process in the middle of computing.
func (a *accelerator) room() error {
	free, _, err := a.Memory()
	if err != nil {
		return err
	}
	if a.kvMiB == nil || a.computeMiB == nil {
		return errors.New("how much memory it would take is not known")
	}
	if need := *a.kvMiB + *a.computeMiB + mib(native.FitReserveBytes); mib(free) < need {
		return fmt.Errorf("the device has %.0f MiB left, it could take %.0f", mib(free), need)
	}
	return nil
}

// place finds out what the CPU computes though a GPU is in use. A context of its
// own does that: ggml-cuda remembers which graphs a context has seen, and those
// of an audit must not be among them.
func (a *accelerator) place(model *native.Model, params native.ContextParams, prompt []int32) {
	a.audited = true
	err := a.room()
	var ctx *native.Context
	if err == nil {
		ctx, err = model.NewContext(params)
	}
	if err == nil {
		var p native.Placement
		p, err = ctx.Placement(prompt)
		if closeErr := ctx.Close(); err == nil {
			err = closeErr
		}
		if err == nil {
			a.placement = &p
			return
		}
	}
	for _, field := range []string{"graph_splits_prefill", "graph_splits_decode", "cpu_ops_prefill", "cpu_ops_decode", "cpu_ops"} {
		a.missing[field] = "a second context to find out in: " + err.Error()
	}
}

// note puts what is known of the device into a call's sample.
func (a *accelerator) note(s *protocol.Sample, m *native.Measurement) error {
	s.Missing = maps.Clone(a.missing)
	if m.Device == nil {
		for _, field := range []string{"cuda_event_ms", "prefill_cuda_event_ms", "kv_decode_cuda_event_ms", "e2e_kv_cuda_event_ms", "host_gap_ms", "cuda_graph_captures"} {
			s.Missing[field] = "this llama.cpp gives no way into its stream"
		}
	} else {
		s.PrefillCUDAMS, s.KVDecodeCUDAMS, s.E2EKVCUDAMS = ptr(ms(m.Device.PrefillNS)), ptr(ms(m.Device.KVDecodeNS)), ptr(ms(m.Device.E2ENS))
		s.TokenDeviceNS = m.Device.TokenNS
		s.GraphCaptures, s.PrimingMS = &m.Device.GraphCaptures, ptr(ms(m.Device.PrimingNS))
		if m.Device.TokenNS == nil {
			s.Missing["token_device_ns"] = "token_events is false"
		}
	}
	s.VRAMBeforeMiB, s.VRAMLoadedMiB, s.VRAMContextMiB = a.beforeMiB, a.loadedMiB, a.contextMiB
	s.VRAMWeightsMiB, s.VRAMKVMiB, s.VRAMComputeMiB = a.weightsMiB, a.kvMiB, a.computeMiB

	// ggml's pools only grow: what is in use after a call was in use at its height.
	peak, err := a.used()
	if err != nil {
		return err
	}
	if a.sampling {
		s.Windows = a.Windows(map[string][2]int64{
			record.ModePrefill: {m.PrefillStartNS, m.PrefillEndNS},
			record.ModeDecode:  {m.DecodeStartNS, m.DecodeEndNS},
			record.ModeE2E:     {m.PrefillStartNS, m.DecodeEndNS},
		})
		for _, w := range s.Windows {
			if w.VRAMPeakMiB != nil {
				*peak = max(*peak, *w.VRAMPeakMiB)
			}
		}
	}
	s.GPUPeakMB = peak

	if p := a.placement; p != nil {
		s.SplitsPrefill, s.SplitsDecode = known(p.Prefill.Splits), known(p.Decode.Splits)
		s.CPUOpsPrefill, s.CPUOpsDecode = &p.Prefill.CPUOps, &p.Decode.CPUOps
		s.CPUBytesPrefill = ptr(p.Prefill.CPUWeightBytes + p.Prefill.CPUOutputBytes)
		s.CPUBytesDecode = ptr(p.Decode.CPUWeightBytes + p.Decode.CPUOutputBytes)
		s.CPUOpNames = opNames(p)
		s.FlashAttnUsed = &p.Decode.FlashAttn
	}

	others, unknown := a.Spoilt()
	for _, o := range others {
		s.Spoil(record.OtherProgram, "%s", o)
	}
	if unknown != "" {
		s.Missing["verdict"] = unknown
	}
	return nil
}

// opNames lists the operations that the CPU computes in either graph, as "OP x n"
// with the larger of the two counts.
func opNames(p *native.Placement) []string {
	counts := map[string]int{}
	for _, g := range []native.GraphPlacement{p.Prefill, p.Decode} {
		for _, c := range g.CPUOpCounts {
			counts[c.Op] = max(counts[c.Op], c.Count)
		}
	}
	names := make([]string, 0, len(counts))
	for op := range counts {
		names = append(names, op)
	}
	slices.SortFunc(names, func(x, y string) int {
		if d := counts[y] - counts[x]; d != 0 {
			return d
		}
		if x < y {
			return -1
		}
		return 1
	})
	for i, op := range names {
		names[i] = fmt.Sprintf("%s x %d", op, counts[op])
	}
	return names
}

// known is nil for -1, which stands for a number that llama.cpp does not tell.
func known(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
