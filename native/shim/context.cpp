// A context, and tokens through it. What is timed is in measure.cpp.
// SPDX-License-Identifier: MIT
#include "context.h"

#include <cstring>

namespace {

ggml_type type_by_name(const char * name) {
    for (int t = 0; t < GGML_TYPE_COUNT; t++) {
        const char * have = ggml_type_name(ggml_type(t));
        if (have && std::strcmp(have, name) == 0) {
            return ggml_type(t);
        }
    }
    return GGML_TYPE_COUNT;
}

ggml_threadpool * new_pool(int32_t n_threads) {
    ggml_threadpool_params tp = ggml_threadpool_params_default(n_threads);
    return ggml_threadpool_new(&tp);
}

} // namespace

int ls::decode_failed(ls_error * err, const char * op, int rc) {
    switch (rc) {
        case 1:  return fail(err, LS_KV_FULL, op, "no room in the KV cache: the context is too short for these tokens");
        case 2:  return fail(err, LS_ABORTED, op, "aborted");
        case -2: return fail(err, LS_NO_MEMORY, op, "not enough memory for the compute buffer");
        default: return fail(err, LS_FAILED, op, "llama_decode returned %d", rc);
    }
}

int ls::append(ls_context * c, const int32_t * tokens, int32_t n, bool all) {
    llama_batch & b = c->batch;
    for (int32_t done = 0; done < n;) {
        const int32_t m = n - done < c->n_batch ? n - done : c->n_batch;
        for (int32_t i = 0; i < m; i++) {
            b.token[i]     = tokens[done + i];
            b.pos[i]       = c->n_past + i;
            b.n_seq_id[i]  = 1;
            b.seq_id[i][0] = ls::sequence;
            b.logits[i]    = all || done + i == n - 1;
        }
        b.n_tokens = m;
        if (const int rc = llama_decode(c->ctx, b)) {
            return rc;
        }
        c->n_past += m;
        done += m;
    }
    return 0;
}

int ls::check_tokens(const ls_context * c, const int32_t * tokens, int32_t n, ls_error * err, const char * op) {
    for (int32_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= c->n_vocab) {
            return fail(err, LS_BAD_ARG, op, "token %d is %d, outside the vocabulary of %d", i, tokens[i], c->n_vocab);
        }
    }
    return LS_OK;
}

extern "C" void ls_context_free(ls_context * c) {
    if (!c) {
        return;
    }
    if (c->ctx) {
        llama_free(c->ctx);
    }
    if (c->pool_batch && c->pool_batch != c->pool) {
        ggml_threadpool_free(c->pool_batch);
    }
    if (c->pool) {
        ggml_threadpool_free(c->pool);
    }
    if (c->batch.token) {
        llama_batch_free(c->batch);
    }
    delete c;
}

extern "C" int ls_context_new(ls_model * model, ls_context_params params, ls_context ** out, ls_error * err) {
    *out = nullptr;
    llama_context_params cp = llama_context_default_params();
    cp.n_ctx           = params.n_ctx;
    cp.n_batch         = params.n_batch;
    cp.n_ubatch        = params.n_ubatch;
    cp.n_seq_max       = 1;
    cp.n_threads       = params.n_threads;
    cp.n_threads_batch = params.n_threads_batch;
    cp.flash_attn_type = llama_flash_attn_type(params.flash_attn);
    cp.type_k          = type_by_name(params.kv_type_k);
    cp.type_v          = type_by_name(params.kv_type_v);
    cp.no_perf         = true;
    cp.swa_full        = !params.window_cache;
    if (cp.type_k == GGML_TYPE_COUNT || cp.type_v == GGML_TYPE_COUNT) {
        return ls::fail(err, LS_BAD_ARG, "context", "unknown KV cache type \"%s\"",
                        cp.type_k == GGML_TYPE_COUNT ? params.kv_type_k : params.kv_type_v);
    }
    auto * c = new ls_context;
    c->model = model;
    const int rc = ls::guarded(err, "context", [&] {
        c->ctx = llama_init_from_model(model->model, cp);
        if (!c->ctx) {
            return ls::fail(err, LS_FAILED, "context", "llama.cpp could not create the context");
        }
        c->n_vocab    = llama_vocab_n_tokens(model->vocab);
        c->n_batch    = int32_t(llama_n_batch(c->ctx));
        c->batch      = llama_batch_init(c->n_batch, 0, 1);
        c->pool       = new_pool(params.n_threads);
        c->pool_batch = params.n_threads_batch == params.n_threads ? c->pool : new_pool(params.n_threads_batch);
        if (!c->pool || !c->pool_batch) {
            return ls::fail(err, LS_FAILED, "context", "could not start %d threads", params.n_threads);
        }
        llama_attach_threadpool(c->ctx, c->pool, c->pool_batch);
        return int(LS_OK);
    });
    if (rc != LS_OK) {
        ls_context_free(c);
        return rc;
    }
    *out = c;
    return LS_OK;
}

extern "C" uint32_t ls_context_n_ctx(const ls_context * c) { return llama_n_ctx(c->ctx); }

extern "C" void ls_context_get_info(const ls_context * c, ls_context_info * out) {
    const llama_model * m = c->model->model;
    // Asked of the context first: models that are to keep nothing have a memory of no kind.
    out->memory  = !llama_get_memory(c->ctx)        ? LS_MEMORY_NONE
                 : llama_model_is_recurrent(m)      ? LS_MEMORY_RECURRENT
                 : llama_model_is_hybrid(m)         ? LS_MEMORY_HYBRID
                                                    : LS_MEMORY_KV;
    out->causal  = ls::is_causal(c->ctx);
    out->logits  = ls::has_logits(c->ctx);
    out->pooling = llama_pooling_type(c->ctx);
}

extern "C" int32_t ls_context_memory(const ls_context * c, ls_memory * out, int32_t cap) {
    try {
        return ls::memory_breakdown(c->ctx, out, cap);
    } catch (...) { // no memory for the map that llama.cpp answers with; no exception may reach Go
        return -1;
    }
}

extern "C" void ls_context_clear(ls_context * c) {
    llama_memory_clear(llama_get_memory(c->ctx), /*data=*/false);
    c->n_past = 0;
}

namespace {

int eval(ls_context * c, const int32_t * tokens, int32_t n_tokens, bool all, float * logits, ls_error * err) {
    if (n_tokens < 1 || n_tokens > c->n_batch) {
        return ls::fail(err, LS_BAD_ARG, "eval", "%d tokens: want 1 to %d, the batch size", n_tokens, c->n_batch);
    }
    if (const int rc = ls::check_tokens(c, tokens, n_tokens, err, "eval")) {
        return rc;
    }
    if (const int rc = ls::append(c, tokens, n_tokens, all)) {
        return ls::decode_failed(err, "eval", rc);
    }
    llama_synchronize(c->ctx);
    const size_t row = size_t(c->n_vocab) * sizeof(float);
    if (!all) {
        std::memcpy(logits, llama_get_logits_ith(c->ctx, -1), row);
        return LS_OK;
    }
    for (int32_t i = 0; i < n_tokens; i++) {
        std::memcpy(logits + size_t(i) * c->n_vocab, llama_get_logits_ith(c->ctx, i), row);
    }
    return LS_OK;
}

} // namespace

extern "C" int ls_eval(ls_context * c, const int32_t * tokens, int32_t n_tokens, bool all, float * logits, ls_error * err) {
    return ls::guarded(err, "eval", [&] { return eval(c, tokens, n_tokens, all, logits, err); });
}
