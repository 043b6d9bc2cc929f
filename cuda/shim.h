/* What gorgonia.org/cu lacks, in plain C, so that nothing of Go lies between the
 * launches that are timed. Every function returns a CUresult and, where that is not
 * CUDA_SUCCESS, puts the name of the driver's function that failed into *op. */
#ifndef LLMSCALE_CUDA_SHIM_H
#define LLMSCALE_CUDA_SHIM_H

#include <cuda.h>
#include <stdbool.h>
#include <stdint.h>

#define LS_MAX_ARGS 8

/* One launch. args[i] holds parameter i in its low bytes. */
typedef struct {
    CUfunction function;
    uint32_t   grid, block;
    uint32_t   n_args;
    uint64_t   args[LS_MAX_ARGS];
} ls_work;

/* Page-locked host memory that the GPU sees: what a held-back stream waits for. */
typedef struct {
    uint32_t release;   /* the host sets it */
    uint32_t timed_out; /* the kernel sets it: the host never came */
} ls_gate;

/* Where work is timed. */
typedef struct {
    CUstream           stream;
    CUevent            start, end;
    CUfunction         hold; /* ls_block of control.cu */
    volatile ls_gate * gate;
    CUdeviceptr        gate_device; /* the same memory as the GPU addresses it */
} ls_stage;

CUresult ls_gate_new(ls_stage * stage, const char ** op);
CUresult ls_gate_free(ls_stage * stage, const char ** op);

/* What is launched `count` times between two events: the work, or a graph of it. */
typedef struct {
    ls_work     work;
    uint32_t    count;
    CUgraphExec graph; /* NULL: no graph; else it holds all `count` launches */
} ls_sample;

/* Captures sample->count launches into a graph and makes it ready. */
CUresult ls_graph_new(const ls_stage * stage, ls_sample * sample, const char ** op);
CUresult ls_graph_free(ls_sample * sample, const char ** op);

/* One pass: `before` if there is one; then, if held, the kernel that holds the
 * stream back until everything is queued; event, launches, event. *ms is the time
 * between the events. *timed_out: the stream was let go too early; *ms says nothing. */
CUresult ls_time_pass(const ls_stage * stage, const ls_work * before, const ls_sample * sample, bool held, float * ms,
                      bool * timed_out, const char ** op);

/* Launches the work n times, each with the stream idle before, and waits; ns[i] is the host's
 * time from before the launch to after the wait. */
CUresult ls_time_isolated(const ls_stage * stage, const ls_work * work, uint32_t n, int64_t * ns, const char ** op);

/* The driver's words for a result; "" where it has none. */
void ls_result_text(CUresult result, const char ** name, const char ** message);

#endif
