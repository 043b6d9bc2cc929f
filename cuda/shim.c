//go:build cuda

/* See shim.h. */
#include "shim.h"

#include <stddef.h>
#include <time.h>

/* A stream that nobody lets go of would hang the process; a queue of 256 launches
 * is written in a thousandth of this. */
#define HOLD_TIMEOUT_NS 2000000000ull

#define TRY(function, ...)                 \
    do {                                   \
        CUresult r_ = function(__VA_ARGS__); \
        if (r_ != CUDA_SUCCESS) {          \
            *op = #function;               \
            return r_;                     \
        }                                  \
    } while (0)

CUresult ls_gate_new(ls_stage * stage, const char ** op) {
    void * host = NULL;
    TRY(cuMemHostAlloc, &host, sizeof(ls_gate), CU_MEMHOSTALLOC_DEVICEMAP);
    stage->gate = host;
    TRY(cuMemHostGetDevicePointer, &stage->gate_device, host, 0);
    return CUDA_SUCCESS;
}

CUresult ls_gate_free(ls_stage * stage, const char ** op) {
    void * host = (void *) stage->gate;
    stage->gate = NULL;
    if (host) {
        TRY(cuMemFreeHost, host);
    }
    return CUDA_SUCCESS;
}

static CUresult launch(CUstream stream, const ls_work * work) {
    void * params[LS_MAX_ARGS];
    for (uint32_t i = 0; i < work->n_args; i++) {
        params[i] = (void *) &work->args[i]; /* read before the call returns */
    }
    return cuLaunchKernel(work->function, work->grid, 1, 1, work->block, 1, 1, 0, stream, params, NULL);
}

CUresult ls_graph_new(const ls_stage * stage, ls_sample * sample, const char ** op) {
    TRY(cuStreamBeginCapture, stage->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
    CUresult launched = CUDA_SUCCESS;
    for (uint32_t i = 0; i < sample->count && launched == CUDA_SUCCESS; i++) {
        launched = launch(stage->stream, &sample->work);
    }
    /* A stream left in capture would be of no use to anybody: it ends in any case. */
    CUgraph  graph = NULL;
    CUresult ended = cuStreamEndCapture(stage->stream, &graph);
    CUresult made  = CUDA_SUCCESS;
    if (launched == CUDA_SUCCESS && ended == CUDA_SUCCESS) {
        made = cuGraphInstantiateWithFlags(&sample->graph, graph, 0);
    }
    CUresult destroyed = graph ? cuGraphDestroy(graph) : CUDA_SUCCESS;
    const struct { const char * name; CUresult result; } steps[] = {
        { "cuLaunchKernel", launched }, { "cuStreamEndCapture", ended },
        { "cuGraphInstantiateWithFlags", made }, { "cuGraphDestroy", destroyed },
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (steps[i].result != CUDA_SUCCESS) {
            *op = steps[i].name;
            return steps[i].result;
        }
    }
    return CUDA_SUCCESS;
}

CUresult ls_graph_free(ls_sample * sample, const char ** op) {
    CUgraphExec graph = sample->graph;
    sample->graph     = NULL;
    if (graph) {
        TRY(cuGraphExecDestroy, graph);
    }
    return CUDA_SUCCESS;
}

/* Queues what lies between the events, and the events. */
static CUresult queue(const ls_stage * stage, const ls_sample * sample, const char ** op) {
    TRY(cuEventRecord, stage->start, stage->stream);
    if (sample->graph) {
        TRY(cuGraphLaunch, sample->graph, stage->stream);
    } else {
        for (uint32_t i = 0; i < sample->count; i++) {
            CUresult r = launch(stage->stream, &sample->work);
            if (r != CUDA_SUCCESS) {
                *op = "cuLaunchKernel";
                return r;
            }
        }
    }
    TRY(cuEventRecord, stage->end, stage->stream);
    return CUDA_SUCCESS;
}

CUresult ls_time_pass(const ls_stage * stage, const ls_work * before, const ls_sample * sample, bool held, float * ms,
                      bool * timed_out, const char ** op) {
    *ms        = 0;
    *timed_out = false;
    if (before) {
        CUresult r = launch(stage->stream, before);
        if (r != CUDA_SUCCESS) {
            *op = "cuLaunchKernel";
            return r;
        }
    }
    if (held) {
        stage->gate->release   = 0;
        stage->gate->timed_out = 0;
        __sync_synchronize();
        const ls_work hold = { stage->hold, 1, 1, 3,
                               { stage->gate_device + offsetof(ls_gate, release), stage->gate_device + offsetof(ls_gate, timed_out),
                                 HOLD_TIMEOUT_NS } };
        CUresult r = launch(stage->stream, &hold);
        if (r != CUDA_SUCCESS) {
            *op = "cuLaunchKernel";
            return r;
        }
    }
    CUresult queued = queue(stage, sample, op);
    /* Let go whatever happened, or the stream would spin until its timeout. */
    __sync_synchronize();
    stage->gate->release = 1;
    if (queued != CUDA_SUCCESS) {
        return queued;
    }
    TRY(cuEventSynchronize, stage->end);
    TRY(cuEventElapsedTime, ms, stage->start, stage->end);
    *timed_out = held && stage->gate->timed_out != 0;
    return CUDA_SUCCESS;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

CUresult ls_time_isolated(const ls_stage * stage, const ls_work * work, uint32_t n, int64_t * ns, const char ** op) {
    TRY(cuStreamSynchronize, stage->stream);
    for (uint32_t i = 0; i < n; i++) {
        const int64_t start = now_ns();
        CUresult      r     = launch(stage->stream, work);
        if (r != CUDA_SUCCESS) {
            *op = "cuLaunchKernel";
            return r;
        }
        TRY(cuStreamSynchronize, stage->stream);
        ns[i] = now_ns() - start;
    }
    return CUDA_SUCCESS;
}

void ls_result_text(CUresult result, const char ** name, const char ** message) {
    if (cuGetErrorName(result, name) != CUDA_SUCCESS || !*name) {
        *name = "";
    }
    if (cuGetErrorString(result, message) != CUDA_SUCCESS || !*message) {
        *message = "";
    }
}
