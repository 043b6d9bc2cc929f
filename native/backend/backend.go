// Package backend runs llmscale's calls on llama.cpp: it is the protocol.Backend
// of kind "native". It holds no cgo of its own and builds without llama.cpp;
// loading then says what is missing.
package backend

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"llmscale/native"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// Native measures through package native. The zero value is ready for Load.
type Native struct {
	model     *native.Model
	ctx       *native.Context
	params    native.ContextParams // of ctx
	vocab     int
	positions int      // rows of the model's position table; 0: none
	sequences int      // decoded together
	depth     struct { // the tokens of the last call's, kept: all calls of a cell have the same
		seed int64
		past [][]int32
	}
	gpu *accelerator // nil on the CPU

	powercap string          // for tests: where the energy counters are shown
	energy   *machine.Energy // of the CPU; nil where there is none: noEnergy says why
	noEnergy error

	hot, idle time.Duration // untimed work and pause before each call
	slowdown  float64       // see native.EnvSlowdown
}

var _ protocol.Backend = (*Native)(nil)

// Load loads the model and creates its context, each timed on its own.
func (n *Native) Load(spec protocol.LoadSpec, progress func(share float64)) (_ protocol.LoadInfo, err error) {
	if !native.Built {
		return protocol.LoadInfo{}, record.Failf(record.StatusWaived, "%v", native.ErrNotBuilt)
	}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if spec.Nice != 0 {
		// All threads that there are; those to come are started by one of them.
		if err := machine.SetNice(spec.Nice); err != nil {
			return protocol.LoadInfo{}, fmt.Errorf("native: prio: %w", err)
		}
	}
	params := native.ModelParams{Mmap: spec.Mmap}
	n.params = native.ContextParams{
		NCtx: spec.NCtx, Sequences: spec.Sequences, NBatch: spec.NBatch, NUBatch: spec.NUBatch, Threads: spec.Threads, ThreadsBatch: spec.ThreadsBatch,
		FlashAttn: spec.FlashAttn, KVTypeK: spec.KVType, KVTypeV: spec.KVType, TokenEvents: spec.TokenEvents,
		CPUs: spec.CPUAffinity,
	}
	if spec.Device == config.DeviceCUDA {
		if n.gpu, err = openAccelerator(spec); err != nil {
			return protocol.LoadInfo{}, err
		}
		params.GPU = true
		if params.GPULayers, err = n.gpu.layers(spec, params, n.params); err != nil {
			return protocol.LoadInfo{}, failure(err)
		}
	} else {
		n.openEnergy()
	}
	if progress != nil {
		params.Progress = func(share float32) bool { progress(float64(share)); return true }
	}
	start := time.Now()
	if n.model, err = native.Load(spec.ModelFile, params); err != nil {
		return protocol.LoadInfo{}, failure(err)
	}
	loaded := time.Now()
	if n.gpu != nil {
		if n.gpu.loadedMiB, err = n.gpu.used(); err != nil {
			return protocol.LoadInfo{}, err
		}
	}
	creating := time.Now()
	if n.ctx, err = n.model.NewContext(n.params); err != nil {
		return protocol.LoadInfo{}, failure(err)
	}
	created := time.Now()
	if n.gpu != nil {
		if n.gpu.contextMiB, err = n.gpu.used(); err != nil {
			return protocol.LoadInfo{}, err
		}
		n.gpu.account(n.ctx)
	}
	account, err := n.account()
	if err != nil {
		return protocol.LoadInfo{}, err
	}
	if err := spec.Expect.Check(spec.ModelFile, account); err != nil {
		return protocol.LoadInfo{}, err
	}
	n.vocab, n.positions, n.sequences = n.model.Info().NVocab, spec.Positions, spec.Batch()
	n.hot, n.idle = time.Duration(spec.HotMS)*time.Millisecond, time.Duration(spec.IdleMS)*time.Millisecond
	if n.slowdown, err = native.Slowdown(); err != nil {
		return protocol.LoadInfo{}, err
	}
	build, err := native.Build()
	if err != nil {
		return protocol.LoadInfo{}, failure(err)
	}
	info := protocol.LoadInfo{
		ModelLoadMS:   ms(loaded.Sub(start).Nanoseconds()),
		ContextInitMS: ms(created.Sub(creating).Nanoseconds()),
		NCtx:          n.ctx.NCtx(),
		LlamaCommit:   build.LlamaCommit,
		GPULayers:     params.GPULayers,
	}
	if n.gpu != nil {
		info.GPU = n.gpu.GPU()
	}
	if info.Threads, err = n.threads(spec); err != nil {
		return protocol.LoadInfo{}, err
	}
	if info.SelfCheck, err = n.selfCheck(spec); err != nil {
		return protocol.LoadInfo{}, err
	}
	if info.BatchCheck, err = n.batchCheck(spec, info.SelfCheck); err != nil {
		return protocol.LoadInfo{}, err
	}
	return info, nil
}

// account is what llama.cpp says of the model and its context.
func (n *Native) account() (*protocol.Account, error) {
	m := n.model.Info()
	c, err := n.ctx.Info()
	if err != nil {
		return nil, failure(err)
	}
	return &protocol.Account{
		Architecture: m.Architecture, Params: m.Params, Bytes: m.SizeBytes, Tensors: m.Tensors,
		Layers: int64(m.NLayer), NCtxTrain: int64(m.NCtxTrain), NVocab: int64(m.NVocab),
		HasEncoder: m.HasEncoder, HasDecoder: m.HasDecoder,
		Memory: c.Memory, Causal: c.Causal, Logits: c.Logits, Pools: c.Pooling > 0,
	}, nil
}

// threads counts those that compute, and checks where they may run.
func (n *Native) threads(spec protocol.LoadSpec) (*protocol.Threads, error) {
	decode, err := n.ctx.Team(false)
	if err != nil {
		return nil, failure(err)
	}
	prefill, err := n.ctx.Team(true)
	if err != nil {
		return nil, failure(err)
	}
	if err := errors.Join(protocol.CheckAffinity("decode", spec.CPUAffinity, decode.Affinity), protocol.CheckAffinity("prefill", spec.CPUAffinity, prefill.Affinity)); err != nil {
		return nil, err
	}
	affinity := decode.Affinity
	if prefill.Threads > decode.Threads {
		affinity = prefill.Affinity
	}
	return &protocol.Threads{Decode: decode.Threads, Prefill: prefill.Threads, CPUs: decode.CPUs, CPUsPrefill: prefill.CPUs, Affinity: protocol.AffinityOf(affinity), Nice: machine.Nice(decode.TIDs[0])}, nil
}

// failure keeps "did not fit" apart from other errors, and what llama.cpp said.
func failure(err error) error {
	var e *native.Error
	if !errors.As(err, &e) {
		return err
	}
	f := record.Failf(record.StatusError, "%v", err)
	if errors.Is(err, native.ErrNoMemory) {
		f.Status = record.StatusOOM
	}
	f.Stderr = e.Log
	return f
}

// Measure makes the prompt, runs the call and turns nanoseconds into the record's
// units. Logits that are not finite are an error: what computed them cannot be
// trusted, however fast it was.
func (n *Native) Measure(call protocol.CallSpec) (protocol.Sample, error) {
	var out protocol.Sample
	prompts, err := n.prompts(call, &out.Measurement)
	if err != nil {
		return protocol.Sample{}, err
	}
	past, watch := n.past(call), machine.NewCallWatch()
	m, err := n.ctx.MeasureCall(native.Call{
		Prompts: prompts, Past: past, Gen: call.GenTokens, Canary: true, Slowdown: n.slowdown,
		Hot: n.hot, HotMost: protocol.HotMost, Idle: n.idle, Energy: n.counters(),
	})
	if err != nil {
		return protocol.Sample{}, failure(err)
	}
	use := watch.Use()
	if !m.LogitsFinite {
		return protocol.Sample{}, errNotFinite()
	}
	if call.Prompt != nil {
		pieces, err := n.pieces(m.OutputIDs[:call.GenTokens])
		if err != nil {
			return protocol.Sample{}, err
		}
		text := strings.Join(pieces, "")
		out.OutputText = &text
		if len(pieces) <= protocol.MaxRecordedIDs {
			out.OutputPieces = pieces
		}
	}
	prompt := slices.Concat(prompts...)
	seqLen, all := len(prompts[0]), len(prompt)
	out.BatchSize, out.SeqLen, out.PromptTokensRaw, out.GenTokensRaw = &n.sequences, &seqLen, &all, &call.GenTokens

	out.PrefillMS = ptr(ms(m.PrefillNS))
	out.KVDecodeMS = ptr(ms(m.KVDecodeNS))
	out.E2EKVMS = ptr(ms(m.E2ENS))
	out.E2EGapPercent = ptr(100 * math.Abs(float64(m.E2ENS-m.PrefillNS-m.KVDecodeNS)) / float64(m.E2ENS))
	out.TTFTMS = ptr(ms(m.PrefillNS + m.FirstSamplingNS))
	out.FirstSamplingNS = &m.FirstSamplingNS
	out.TokenNS, out.TokenSamplingNS = m.TokenNS, m.SamplingNS
	var decode int64
	for _, t := range m.TokenNS {
		decode += t
	}
	out.DecodeNoSampMS = ptr(ms(decode))
	out.KVClearMS = ptr(ms(m.KVClearNS))
	if m.PrefillColdNS > 0 {
		out.PrefillColdMS = ptr(ms(m.PrefillColdNS))
	}

	out.PromptTokenIDs, out.OutputTokenIDs = protocol.RecordedIDs(prompt, n.sequences), protocol.RecordedIDs(m.OutputIDs, n.sequences)
	out.PromptTokensHash, out.OutputTokensHash = ptr(protocol.HashIDs(prompt)), ptr(protocol.HashIDs(m.OutputIDs))
	out.LogitsFinite = &m.LogitsFinite
	out.RSSPeakMiB = ptr(float64(m.RSSPeakBytes) / (1 << 20))
	out.MajorFaults, out.MinorFaults = &m.MajorFaults, &m.MinorFaults
	out.DiskReadBytes = &m.DiskReadBytes
	out.InvoluntaryCtx = &m.InvoluntarySwitches
	out.CPUTimeMS = ptr(ms(m.CPUTimeNS))
	out.CanaryComputeMS = ptr(ms(m.CanaryComputeNS))
	if m.CanaryReadNS > 0 {
		out.CanaryReadMS = ptr(ms(m.CanaryReadNS))
	} else {
		out.Miss("canary_read_ms", "this CPU has no instruction by which a program empties its caches")
	}
	if m.CanarySyncNS > 0 {
		out.CanarySyncNS = &m.CanarySyncNS
	}
	out.StolenMS, out.OthersMS, out.ThrottledMS, out.CPUWaitMS = use.StolenMS, use.OthersMS, use.ThrottledMS, use.WaitMS
	out.CPUWatchMS, out.RunQueue, out.CPUMHz = &use.WatchMS, use.RunQueue, use.MHz
	if n.gpu != nil {
		if !n.gpu.audited {
			n.gpu.place(n.model, n.params, prompts[0])
		}
		if err := n.gpu.note(&out, m); err != nil {
			return protocol.Sample{}, err
		}
	} else {
		n.noteEnergy(&out, m)
	}
	if n.hot > 0 && out.PrefillColdMS == nil {
		reason := fmt.Sprintf("the untimed prefill was broken off after %v", protocol.HotMost)
		if call.Depth > 0 {
			reason += ", or came right after the cache was filled to depth"
		}
		out.Miss("prefill_cold_ms", reason)
	}
	return out, nil
}

func errNotFinite() error {
	return record.Failf(record.StatusError, "the model's logits are not finite: its weights or this build compute garbage")
}

// pieces are the texts of single tokens.
func (n *Native) pieces(ids []int32) ([]string, error) {
	out := make([]string, len(ids))
	for i := range ids {
		var err error
		if out[i], err = n.model.Detokenize(ids[i : i+1]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// draw returns n random ids of each sequence.
func (n *Native) draw(seed int64, tokens int) [][]int32 {
	out := make([][]int32, n.sequences)
	for s := range out {
		out[s] = protocol.DrawPrompt(protocol.SequenceSeed(seed, s), tokens, n.vocab)
	}
	return out
}

// past returns the ids that are in the cache before a call.
func (n *Native) past(call protocol.CallSpec) [][]int32 {
	if call.Depth == 0 {
		return nil
	}
	if p := &n.depth; p.past == nil || p.seed != call.DepthSeed || len(p.past[0]) != call.Depth {
		p.seed, p.past = call.DepthSeed, n.draw(call.DepthSeed, call.Depth)
	}
	return n.depth.past
}

// prompts returns the token ids of each of the call's sequences and notes how they came about.
func (n *Native) prompts(call protocol.CallSpec, out *record.Measurement) ([][]int32, error) {
	if n.ctx == nil {
		return nil, errors.New("native: a call before a load")
	}
	if call.Prompt == nil {
		out.PromptSeed = &call.Seed
		return n.draw(call.Seed, call.PromptTokens), nil
	}
	start := time.Now()
	ids, err := n.model.TokenizeMarkup(*call.Prompt) // as a server does, so that the two can be compared
	out.TokenizeMS = ptr(ms(time.Since(start).Nanoseconds()))
	if err == nil && n.positions > 0 && call.Depth+len(ids)+call.GenTokens > n.positions {
		err = fmt.Errorf("native: the prompt has %d tokens: with a depth of %d and %d decode steps it is longer than the model's %d positions", len(ids), call.Depth, call.GenTokens, n.positions)
	}
	if err == nil && len(ids) == 0 {
		err = errors.New("native: the prompt has no tokens in this model's vocabulary")
	}
	return slices.Repeat([][]int32{ids}, n.sequences), err
}

// Close frees the context and the model; it may be called twice.
func (n *Native) Close() error {
	var errs []error
	if n.ctx != nil {
		errs = append(errs, n.ctx.Close())
		n.ctx = nil
	}
	if n.model != nil {
		errs = append(errs, n.model.Close())
		n.model = nil
	}
	if n.gpu != nil {
		errs = append(errs, n.gpu.Close())
		n.gpu = nil
	}
	if n.energy != nil {
		errs = append(errs, n.energy.Close())
		n.energy = nil
	}
	return errors.Join(errs...)
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }

func ptr[T any](v T) *T { return &v }
