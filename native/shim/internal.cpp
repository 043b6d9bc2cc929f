// The one file that may look behind llama.cpp's stable C API. What it asks for has no place in llama.h, and moves
// between versions: CMake tries which of the forms below compiles against the sources at hand and sets
// LS_BREAKDOWN to it. Without any of them the program builds all the same and the answers are "not available".
//
//   1  a C++ function declared in src/llama-ext.h   (upstream, from 2026)
//   2  a member of llama_context, src/llama-context.h  (the pinned version)
//
// SPDX-License-Identifier: MIT
#include "common.h"

#ifndef LS_BREAKDOWN
#define LS_BREAKDOWN 0
#endif

#if LS_BREAKDOWN == 1
#include "llama-ext.h"
namespace {
auto breakdown(const llama_context * ctx) { return llama_get_memory_breakdown(ctx); }
} // namespace
#elif LS_BREAKDOWN == 2
#include "llama-context.h"
namespace {
auto breakdown(const llama_context * ctx) { return ctx->memory_breakdown(); }
} // namespace
#endif

int32_t ls::memory_breakdown([[maybe_unused]] const llama_context * ctx, [[maybe_unused]] ls_memory * out, [[maybe_unused]] int32_t cap) {
#if LS_BREAKDOWN
    int32_t n = 0;
    for (const auto & [buft, bytes] : breakdown(ctx)) {
        if (n < cap) {
            ls_memory & m = out[n];
            m             = {};
            snprintf(m.buffer_type, sizeof m.buffer_type, "%s", ggml_backend_buft_name(buft));
            m.host          = ggml_backend_buft_is_host(buft);
            m.model_bytes   = int64_t(bytes.model);
            m.context_bytes = int64_t(bytes.context);
            m.compute_bytes = int64_t(bytes.compute);
        }
        n++;
    }
    return n;
#else
    return -1;
#endif
}
