// What a context is, for the shim's sources that work on one; not part of the C door.
// SPDX-License-Identifier: MIT
#pragma once

#include "common.h"
#include "device.h"

#include "ggml-cpu.h"

struct ls_context {
    llama_context * ctx   = nullptr;
    ls_model *      model = nullptr;
    // The pool outlives single calls: without one attached, ggml sets up and
    // tears down a pool for every graph, that is for every token.
    ggml_threadpool * pool       = nullptr;
    ggml_threadpool * pool_batch = nullptr;
    llama_batch       batch      = {};
    int32_t           n_vocab    = 0;
    int32_t           n_batch    = 0;
    int32_t           n_past     = 0;
    ls::device_clock  clock;
};

namespace ls {

constexpr llama_seq_id sequence = 0; // the one that a context holds

// Decodes tokens[0..n) at the context's end in batches of n_batch; logits of all tokens or of the last one only.
// Does not synchronize. Returns llama_decode's code.
int append(ls_context * c, const int32_t * tokens, int32_t n, bool all);

// Refuses token ids outside the vocabulary.
int check_tokens(const ls_context * c, const int32_t * tokens, int32_t n, ls_error * err, const char * op);

// Turns llama_decode's code into an error.
int decode_failed(ls_error * err, const char * op, int rc);

} // namespace ls
