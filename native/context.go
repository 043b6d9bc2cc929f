//go:build native

package native

// #include "llmscale_shim.h"
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"llmscale/gguf/ledger"
)

// Context is a KV cache and the threads that compute on it. Its methods run one
// at a time on an OS thread of its own.
type Context struct {
	mu     sync.Mutex
	model  *Model
	thread *thread
	c      *C.ls_context // nil once closed
	nCtx   int           // over all sequences
	nVocab int

	tokenEvents bool
}

// NewContext creates a context. The model must outlive it.
func (m *Model) NewContext(p ContextParams) (*Context, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.c == nil {
		return nil, errClosed
	}
	flash, ok := map[string]int{"": -1, "auto": -1, "off": 0, "on": 1}[p.FlashAttn]
	if !ok {
		return nil, &Error{Op: "context", Message: fmt.Sprintf("flash attention %q: want auto, on or off", p.FlashAttn)}
	}
	threads := orDefault(p.Threads, 1)
	kvK, kvV := C.CString(orDefault(p.KVTypeK, "f16")), C.CString(orDefault(p.KVTypeV, "f16"))
	defer C.free(unsafe.Pointer(kvK))
	defer C.free(unsafe.Pointer(kvV))
	sequences := orDefault(p.Sequences, 1)
	if p.NCtx == 0 && sequences > 1 { // else llama.cpp would share out the trained length among them
		p.NCtx = m.Info().NCtxTrain
	}
	params := C.ls_context_params{
		n_ctx:           C.uint32_t(p.NCtx * sequences),
		n_seq:           C.uint32_t(sequences),
		n_batch:         C.uint32_t(orDefault(p.NBatch, 2048)),
		n_ubatch:        C.uint32_t(orDefault(p.NUBatch, 512)),
		n_threads:       C.int32_t(threads),
		n_threads_batch: C.int32_t(orDefault(p.ThreadsBatch, threads)),
		flash_attn:      C.int32_t(flash),
		kv_type_k:       kvK,
		kv_type_v:       kvV,
		window_cache:    C.bool(p.WindowCache),
	}
	cpus := make([]int32, len(p.CPUs)) // what a struct points to must be C's or pinned
	for i, cpu := range p.CPUs {
		cpus[i] = int32(cpu)
	}
	if len(cpus) > 0 {
		var pin runtime.Pinner
		pin.Pin(&cpus[0])
		defer pin.Unpin()
		params.cpus, params.n_cpus = ids(cpus), C.int32_t(len(cpus))
	}
	ctx := &Context{model: m, thread: newThread(), nVocab: m.vocabSize(), tokenEvents: p.TokenEvents}
	var err error
	ctx.thread.do(func() {
		var cerr C.ls_error
		log := logs.capture()
		code := C.ls_context_new(m.c, params, &ctx.c, &cerr)
		if err = toError(code, &cerr, log); err == nil {
			ctx.nCtx = int(C.ls_context_n_ctx(ctx.c))
		}
	})
	if err != nil {
		ctx.thread.stop()
		var e *Error
		if errors.As(err, &e) {
			e.Log = append(slices.Clone(m.log), e.Log...)
		}
		return nil, err
	}
	m.contexts.Add(1)
	return ctx, nil
}

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

// Close frees the context and ends its thread.
func (c *Context) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.c != nil {
		c.thread.do(func() { C.ls_context_free(c.c) })
		c.thread.stop()
		c.c = nil
		c.model.contexts.Add(-1)
	}
	return nil
}

// NCtx returns how many tokens the context holds, over all sequences.
func (c *Context) NCtx() int { return c.nCtx }

// Info returns what llama.cpp says about the context.
func (c *Context) Info() (ContextInfo, error) {
	var info C.ls_context_info
	if err := c.run(func(*C.ls_error) C.int { C.ls_context_get_info(c.c, &info); return C.LS_OK }); err != nil {
		return ContextInfo{}, err
	}
	told := func(v C.int32_t) *bool {
		if v < 0 {
			return nil
		}
		b := v != 0
		return &b
	}
	kinds := map[C.int32_t]string{C.LS_MEMORY_NONE: ledger.MemoryNone, C.LS_MEMORY_KV: ledger.MemoryKV, C.LS_MEMORY_RECURRENT: ledger.MemoryRecurrent, C.LS_MEMORY_HYBRID: ledger.MemoryHybrid}
	return ContextInfo{kinds[info.memory], told(info.causal), told(info.logits), int(info.pooling)}, nil
}

// Team finds the threads that compute decode's graphs, or with batch prefill's. It has them compute one operation, on
// the thread that runs all calls, so that libgomp's team is there before the first of them.
func (c *Context) Team(batch bool) (Team, error) {
	const most = 4096 // threads
	tids := make([]int32, most)
	var n C.int32_t
	err := c.run(func(cerr *C.ls_error) C.int {
		return C.ls_context_team(c.c, C.bool(batch), ids(tids), most, &n, cerr)
	})
	if err != nil {
		return Team{}, err
	}
	return newTeam(tids[:n]), nil
}

// Memory returns what llama.cpp allocated for the model and this context, in the
// order of the buffer types' names. It fails with ErrNotAvailable where the
// llama.cpp that was built in does not tell.
func (c *Context) Memory() ([]BufferMemory, error) {
	const most = 64 // buffer types: a few for each device
	var buf [most]C.ls_memory
	var n C.int32_t
	if err := c.run(func(*C.ls_error) C.int { n = C.ls_context_memory(c.c, &buf[0], most); return C.LS_OK }); err != nil {
		return nil, err
	}
	if n < 0 || n > most {
		return nil, &Error{Op: "memory", Message: "llama.cpp keeps no account of its buffers that this program can read", kind: ErrNotAvailable}
	}
	out := make([]BufferMemory, n)
	for i := range out {
		b := &buf[i]
		out[i] = BufferMemory{C.GoString(&b.buffer_type[0]), bool(b.host), int64(b.model_bytes), int64(b.context_bytes), int64(b.compute_bytes)}
	}
	slices.SortFunc(out, func(a, b BufferMemory) int { return strings.Compare(a.BufferType, b.BufferType) })
	return out, nil
}

// run calls f on the context's thread.
func (c *Context) run(f func(cerr *C.ls_error) C.int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.c == nil {
		return errClosed
	}
	var err error
	c.thread.do(func() {
		var cerr C.ls_error
		log := logs.capture()
		err = toError(f(&cerr), &cerr, log)
	})
	return err
}

// ids returns a pointer to a slice's first element, nil if it is empty.
func ids(s []int32) *C.int32_t { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(s))) }

func floats(s []float32) *C.float { return (*C.float)(unsafe.SliceData(s)) }

func times(s []int64) *C.int64_t { return (*C.int64_t)(unsafe.Pointer(unsafe.SliceData(s))) }

// Measure is MeasureCall of one sequence in an empty cache.
func (c *Context) Measure(prompt []int32, gen int) (*Measurement, error) {
	return c.MeasureCall(Call{Prompts: [][]int32{prompt}, Gen: gen})
}

// MeasureCall times the prefill of prompts and greedy decode steps. See Measurement for what is timed; ends of sequence
// are ignored.
func (c *Context) MeasureCall(call Call) (*Measurement, error) {
	if call.Gen < 0 {
		return nil, &Error{Op: "measure", Message: fmt.Sprintf("%d decode steps: want 0 or more", call.Gen)}
	}
	if len(call.Prompts) == 0 {
		return nil, &Error{Op: "measure", Message: "no prompt: want one for each sequence"}
	}
	if len(call.Past) != 0 && len(call.Past) != len(call.Prompts) {
		return nil, &Error{Op: "measure", Message: fmt.Sprintf("%d prompts behind the pasts of %d sequences: want one each", len(call.Prompts), len(call.Past))}
	}
	prompts, err := rows("prompts", call.Prompts)
	if err != nil {
		return nil, err
	}
	past, err := rows("pasts", call.Past)
	if err != nil {
		return nil, err
	}
	sequences := len(call.Prompts)
	m := &Measurement{OutputIDs: make([]int32, sequences*call.Gen), TokenNS: make([]int64, call.Gen), SamplingNS: make([]int64, call.Gen)}
	var device []int64
	if c.tokenEvents {
		device = make([]int64, call.Gen)
	}
	counters := make([]int32, len(call.Energy))
	for i, f := range call.Energy {
		counters[i] = int32(f.Fd())
	}
	energy := make([]int64, len(m.EnergyUJ)*len(counters))
	var out C.ls_measurement
	err = c.run(func(cerr *C.ls_error) C.int {
		return C.ls_measure(c.c, C.ls_call{
			n_seq: C.int32_t(sequences), n_prompt: C.int32_t(len(prompts) / sequences), n_gen: C.int32_t(call.Gen), depth: C.int32_t(len(past) / sequences),
			prompt: ids(prompts), past: ids(past),
			canary: C.bool(call.Canary), slowdown: C.double(call.Slowdown),
			hot_ns: C.int64_t(call.Hot), hot_most_ns: C.int64_t(call.HotMost), idle_ns: C.int64_t(call.Idle),
			output_ids: ids(m.OutputIDs), token_ns: times(m.TokenNS), sampling_ns: times(m.SamplingNS), token_device_ns: times(device),
			n_counters: C.int32_t(len(counters)), counters: ids(counters), energy_uj: times(energy),
		}, &out, cerr)
	})
	runtime.KeepAlive(call.Energy)
	if err != nil {
		return nil, err
	}
	m.CanaryReadNS, m.CanaryComputeNS, m.CanarySyncNS = int64(out.canary_read_ns), int64(out.canary_compute_ns), float64(out.canary_sync_ns)
	m.PrefillColdNS, m.KVClearNS = int64(out.prefill_cold_ns), int64(out.kv_clear_ns)
	m.PrefillNS = int64(out.prefill_ns)
	m.FirstSamplingNS = int64(out.first_sampling_ns)
	m.KVDecodeNS = int64(out.decode_ns)
	m.E2ENS = int64(out.e2e_ns)
	m.MinorFaults = int64(out.minor_faults)
	m.MajorFaults = int64(out.major_faults)
	m.DiskReadBytes = int64(out.disk_read_bytes)
	m.InvoluntarySwitches = int64(out.involuntary_switches)
	m.CPUTimeNS = int64(out.cpu_time_ns)
	m.RSSPeakBytes = int64(out.rss_peak_bytes)
	m.LogitsFinite = bool(out.logits_finite)
	for i := range m.EnergyUJ {
		m.EnergyUJ[i] = energy[i*len(counters) : (i+1)*len(counters)]
	}
	m.PrefillStartNS, m.PrefillEndNS = int64(out.prefill_start_ns), int64(out.prefill_end_ns)
	m.DecodeStartNS, m.DecodeEndNS = int64(out.decode_start_ns), int64(out.decode_end_ns)
	if out.device {
		m.Device = &DeviceTimes{
			PrefillNS: int64(out.prefill_device_ns), KVDecodeNS: int64(out.decode_device_ns), E2ENS: int64(out.e2e_device_ns),
			TokenNS: device, GraphCaptures: int64(out.graph_captures), PrimingNS: int64(out.priming_ns),
		}
	}
	return m, nil
}

// Clear empties the KV cache: the next Eval starts at position 0.
func (c *Context) Clear() {
	// The only error is a closed context, which has nothing to clear.
	_ = c.run(func(*C.ls_error) C.int { C.ls_context_clear(c.c); return C.LS_OK })
}

// Eval appends tokens (at most NBatch) to the context and returns the logits of
// the last one, NVocab values. It is not timed: it is for checking answers.
func (c *Context) Eval(tokens []int32) ([]float32, error) {
	logits := make([]float32, c.nVocab)
	return logits, c.eval(tokens, false, logits)
}

// EvalAll is Eval with the logits of every token: len(tokens) rows.
func (c *Context) EvalAll(tokens []int32) ([][]float32, error) {
	flat := make([]float32, len(tokens)*c.nVocab)
	if err := c.eval(tokens, true, flat); err != nil {
		return nil, err
	}
	rows := make([][]float32, len(tokens))
	for i := range rows {
		rows[i] = flat[i*c.nVocab : (i+1)*c.nVocab]
	}
	return rows, nil
}

func (c *Context) eval(tokens []int32, all bool, logits []float32) error {
	return c.run(func(cerr *C.ls_error) C.int {
		return C.ls_eval(c.c, ids(tokens), C.int32_t(len(tokens)), C.bool(all), (*C.float)(unsafe.SliceData(logits)), cerr)
	})
}

// SelfCheck evaluates the prompt as one batch and token by token, and compares the logits of its last token. It takes as
// many of the prompt's tokens as one by one fit into the budget. It is not timed, and leaves the KV cache empty.
func (c *Context) SelfCheck(prompt []int32, budget time.Duration) (SelfCheck, error) {
	return c.selfCheck(prompt, prompt, budget)
}

// selfCheck compares a batch with steps; that they are of other tokens is for tests.
func (c *Context) selfCheck(batch, steps []int32, budget time.Duration) (SelfCheck, error) {
	batchLogits, stepLogits := make([]float32, c.nVocab), make([]float32, c.nVocab)
	var done C.int32_t
	err := c.run(func(cerr *C.ls_error) C.int {
		return C.ls_self_check(c.c, C.ls_check{
			n: C.int32_t(len(batch)), steps: ids(steps), batch: ids(batch), budget_ns: C.int64_t(budget.Nanoseconds()),
			step_logits: floats(stepLogits), batch_logits: floats(batchLogits),
		}, &done, cerr)
	})
	if err != nil {
		return SelfCheck{}, err
	}
	return compareLogits(batchLogits, stepLogits, int(done)), nil
}

// bareDecode runs the plain C loop that the benchmarks compare Measure with:
// prefill, then tokens fed one by one; nanoseconds of the steps together.
func (c *Context) bareDecode(prompt, tokens []int32) (int64, error) {
	var ns C.int64_t
	err := c.run(func(cerr *C.ls_error) C.int {
		return C.ls_bare_decode(c.c, ids(prompt), C.int32_t(len(prompt)), ids(tokens), C.int32_t(len(tokens)), &ns, cerr)
	})
	return int64(ns), err
}
