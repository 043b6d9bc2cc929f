// A context, and tokens through it. What is timed is in measure.cpp.
#include "context.h"

#include <cinttypes>
#include <cstring>
#include <sched.h>

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

// Whether ggml starts its own threads. It then binds them to what their pool was given.
bool own_threads() { return !std::strstr(llama_print_system_info(), "OPENMP = 1"); }

ggml_threadpool * new_pool(int32_t n_threads, const ls_context_params & params) {
    ggml_threadpool_params tp = ggml_threadpool_params_default(n_threads);
    // With OpenMP ggml would bind each thread anew in each graph, and not the only one of a team of one.
    if (params.n_cpus > 0 && own_threads()) {
        for (int32_t i = 1; i < params.n_cpus && i < n_threads; i++) { // the calling thread has the first, see below
            if (params.cpus[i] < GGML_MAX_N_THREADS) {
                tp.cpumask[params.cpus[i]] = true;
            }
        }
        tp.strict_cpu = true;
    }
    return ggml_threadpool_new(&tp);
}

// Binds the calling thread.
void bind_to(int32_t cpu) {
    alignas(cpu_set_t) unsigned char set[1 << 10] = {}; // of 8192 processors: cpu_set_t itself ends at 1024
    CPU_SET_S(cpu, sizeof set, reinterpret_cast<cpu_set_t *>(set));
    sched_setaffinity(0, sizeof set, reinterpret_cast<cpu_set_t *>(set)); // whether it is bound, ls_context_team tells
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

int ls::check_tokens(const ls_context * c, const int32_t * tokens, int64_t n, ls_error * err, const char * op) {
    for (int64_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= c->n_vocab) {
            return fail(err, LS_BAD_ARG, op, "token %" PRId64 " is %d, outside the vocabulary of %d", i, tokens[i], c->n_vocab);
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
    cp.n_seq_max       = params.n_seq;
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
    // Between the pools of prefill and decode ggml would bind the calling thread anew, to a processor that another one has.
    if (params.n_cpus > 0 && params.n_threads != params.n_threads_batch && own_threads()) {
        return ls::fail(err, LS_BAD_ARG, "context", "without OpenMP threads are bound to processors only where decode and prefill have equally many: "
                        "give threads_batch the number of threads (%d, not %d), or bind none", params.n_threads, params.n_threads_batch);
    }
    auto * c = new ls_context;
    c->model = model;
    const int rc = ls::guarded(err, "context", [&] {
        c->ctx = llama_init_from_model(model->model, cp);
        if (!c->ctx) {
            return ls::fail(err, LS_FAILED, "context", "llama.cpp could not create the context");
        }
        c->n_seq      = int32_t(params.n_seq);
        c->n_vocab    = llama_vocab_n_tokens(model->vocab);
        c->n_batch    = int32_t(llama_n_batch(c->ctx));
        c->batch      = llama_batch_init(c->n_batch, 0, 1);
        c->pool       = new_pool(params.n_threads, params);
        c->pool_batch = params.n_threads_batch == params.n_threads ? c->pool : new_pool(params.n_threads_batch, params);
        if (!c->pool || !c->pool_batch) {
            return ls::fail(err, LS_FAILED, "context", "could not start %d threads", params.n_threads);
        }
        llama_attach_threadpool(c->ctx, c->pool, c->pool_batch);
        if (params.n_cpus > 0) {
            bind_to(params.cpus[0]);
        }
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
    c->past   = {};
}

int ls::check_positions(const ls_context * c, int32_t n_seq, ls_error * err) {
    for (llama_seq_id s = 0; s < n_seq; s++) {
        const llama_pos last = llama_memory_seq_pos_max(llama_get_memory(c->ctx), s);
        if (last != c->n_past - 1) {
            return fail(err, LS_FAILED, "measure", "sequence %d ends at position %d in the cache, where %d tokens were put", s, last, c->n_past);
        }
    }
    return LS_OK;
}

namespace {

// Whether the memory gives back what came after its first tokens. A recurrent state cannot: it is read from a copy.
bool step_back(ls_context * c, int32_t n_seq, int32_t depth) {
    llama_memory_t memory = llama_get_memory(c->ctx);
    for (llama_seq_id s = 0; s < n_seq; s++) {
        if (c->past.states.empty()) {
            if (!llama_memory_seq_rm(memory, s, depth, -1)) {
                return false;
            }
            continue;
        }
        const std::vector<uint8_t> & state = c->past.states[size_t(s)];
        if (!llama_memory_seq_rm(memory, s, -1, -1) || llama_state_seq_set_data(c->ctx, state.data(), state.size(), s) != state.size()) {
            return false;
        }
    }
    c->n_past = depth;
    return true;
}

// Computes the tokens and notes that they are there.
int fill(ls_context * c, const int32_t * ids, int32_t n_seq, int32_t depth, ls_error * err) {
    ls_context_clear(c);
    if (const int rc = ls::append(c, ids, n_seq, depth, ls::logits::last, [](int64_t, int64_t) {})) {
        return ls::decode_failed(err, "depth", rc);
    }
    llama_synchronize(c->ctx);
    if (llama_model_is_recurrent(c->model->model) || llama_model_is_hybrid(c->model->model)) {
        for (llama_seq_id s = 0; s < n_seq; s++) {
            std::vector<uint8_t> state(llama_state_seq_get_size(c->ctx, s));
            if (llama_state_seq_get_data(c->ctx, state.data(), state.size(), s) != state.size()) {
                return ls::fail(err, LS_FAILED, "depth", "llama.cpp would not hand out the state of sequence %d", s);
            }
            c->past.states.push_back(std::move(state));
        }
    }
    c->past.ids.assign(ids, ids + size_t(n_seq) * depth);
    c->past.n_seq = n_seq;
    return LS_OK;
}

} // namespace

int ls::rewind(ls_context * c, const int32_t * ids, int32_t n_seq, int32_t depth, bool * filled, ls_error * err) {
    *filled = false;
    if (depth == 0) {
        ls_context_clear(c);
        llama_synchronize(c->ctx);
        return LS_OK;
    }
    const size_t n     = size_t(n_seq) * depth;
    const bool   there = c->past.n_seq == n_seq && c->past.ids.size() == n && std::memcmp(c->past.ids.data(), ids, n * sizeof *ids) == 0;
    if (!there || !step_back(c, n_seq, depth)) {
        *filled = true;
        if (const int rc = fill(c, ids, n_seq, depth, err)) {
            return rc;
        }
    }
    llama_synchronize(c->ctx);
    return check_positions(c, n_seq, err);
}

namespace {

int eval(ls_context * c, const int32_t * tokens, int32_t n_tokens, bool all, float * logits, ls_error * err) {
    if (n_tokens < 1 || n_tokens > c->n_batch) {
        return ls::fail(err, LS_BAD_ARG, "eval", "%d tokens: want 1 to %d, the batch size", n_tokens, c->n_batch);
    }
    if (const int rc = ls::check_tokens(c, tokens, n_tokens, err, "eval")) {
        return rc;
    }
    if (const int rc = ls::append(c, tokens, n_tokens, all ? ls::logits::all : ls::logits::last)) {
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
