// Shared by the shim's sources only; not part of the C door.
#pragma once

#include "ggml-backend.h"
#include "llama.h"
#include "llmscale_shim.h"

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <new>

namespace ls {

inline int64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

// Fills *err and returns code, so that a failing path is one line.
__attribute__((format(printf, 4, 5))) inline int fail(ls_error * err, int code, const char * op, const char * format, ...) {
    err->code = code;
    snprintf(err->op, sizeof err->op, "%s", op);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

// Runs f and turns what it throws into an error: no C++ exception may cross the
// C door, where it would end the process.
template <typename F>
int guarded(ls_error * err, const char * op, F && f) {
    try {
        return f();
    } catch (const std::bad_alloc &) {
        return fail(err, LS_NO_MEMORY, op, "not enough memory");
    } catch (const std::exception & e) {
        return fail(err, LS_FAILED, op, "%s", e.what());
    }
}

// Keeps what llama.cpp logs from the sink, or no longer.
void mute_log(bool on);

// What llama.cpp says it allocated, one entry for each buffer type; returns how many there are, of which at most
// cap are written, or -1 where this llama.cpp does not tell (internal.cpp).
int32_t memory_breakdown(const llama_context * ctx, ls_memory * out, int32_t cap);

// How many tensors of different names llama.cpp made of a model's file; -1 where it does not tell (internal.cpp).
int32_t tensor_count(const llama_model * model);

// Whether the context's attention is causal, and whether its graph ends in logits: 1, 0, or -1 where llama.cpp does not
// tell (internal.cpp).
int32_t is_causal(const llama_context * ctx);
int32_t has_logits(const llama_context * ctx);

// The scheduler that splits the context's graphs among its backends; nullptr where this llama.cpp does not hand it
// out (internal.cpp). llama.cpp may make a new one between calls: ask each time.
ggml_backend_sched_t scheduler(const llama_context * ctx);

// The first backend of the scheduler that computes on a GPU; nullptr on a context without one, or without scheduler.
ggml_backend_t compute_backend(const llama_context * ctx);

// Puts an event of the backend's own kind (CUDA: a cudaEvent_t) into the stream on which the backend computes. ggml
// aborts where CUDA refuses. False where this llama.cpp does not allow it.
bool record_event(ggml_backend_t backend, void * event);

// Has callback called for each node that the context computes from now on; nullptr ends it. A context is made
// without one and the timed phases run without: the scheduler then computes a split at once, else piece by piece.
// False where this llama.cpp does not allow it.
bool set_eval_callback(llama_context * ctx, ggml_backend_sched_eval_callback callback, void * user);

} // namespace ls

struct ls_model {
    llama_model *       model;
    const llama_vocab * vocab;
    bool                on_gpu; // every layer and the output head: the CPU computes next to nothing
};
