// Shared by the shim's sources only; not part of the C door.
// SPDX-License-Identifier: MIT
#pragma once

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

// What llama.cpp says it allocated, one entry for each buffer type; returns how many there are, of which at most
// cap are written, or -1 where this llama.cpp does not tell (internal.cpp).
int32_t memory_breakdown(const llama_context * ctx, ls_memory * out, int32_t cap);

} // namespace ls

struct ls_model {
    llama_model *       model;
    const llama_vocab * vocab;
};
