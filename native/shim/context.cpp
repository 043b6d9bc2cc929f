// A context and the timed phases. This file is what every figure comes from.
// SPDX-License-Identifier: MIT
#include "argmax.h"
#include "context.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <sys/resource.h>

namespace {

constexpr llama_seq_id sequence = 0;

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

int64_t timeval_ns(const timeval & t) { return int64_t(t.tv_sec) * 1000000000 + int64_t(t.tv_usec) * 1000; }

// Peak resident set of this program, from the kernel's line "VmHWM: n kB".
// ru_maxrss will not do: it survives exec, so a worker would report the largest
// size that the process that started it ever had. 0 if it cannot be read.
int64_t rss_peak_bytes() {
    FILE * f = std::fopen("/proc/self/status", "r");
    if (!f) {
        return 0;
    }
    char    line[256];
    int64_t kib = 0;
    while (std::fgets(line, sizeof line, f)) {
        if (std::sscanf(line, "VmHWM: %" SCNd64, &kib) == 1) {
            break;
        }
    }
    std::fclose(f);
    return kib * 1024;
}

bool all_finite(const float * x, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        if (!std::isfinite(x[i])) {
            return false;
        }
    }
    return true;
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
            b.seq_id[i][0] = sequence;
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

// Events of a call; those of step i follow at first_step + 2 i.
enum : size_t { prefill_begin, prefill_done, priming_begin, priming_done, decode_begin, decode_done, first_step };

// Reads the events of a call that is over.
int device_times(const ls::device_clock & clock, int32_t n_gen, int64_t * token_device_ns, ls_measurement * out, ls_error * err) {
    if (!clock.running()) {
        return LS_OK;
    }
    out->device = true;
    if (const int rc = clock.elapsed_ns(prefill_begin, prefill_done, &out->prefill_device_ns, err)) {
        return rc;
    }
    if (const int rc = clock.elapsed_ns(decode_begin, decode_done, &out->decode_device_ns, err)) {
        return rc;
    }
    if (const int rc = clock.elapsed_ns(prefill_begin, decode_done, &out->e2e_device_ns, err)) {
        return rc;
    }
    if (out->priming_ns > 0) {
        int64_t priming = 0;
        if (const int rc = clock.elapsed_ns(priming_begin, priming_done, &priming, err)) {
            return rc;
        }
        out->e2e_device_ns -= priming;
    }
    for (int32_t i = 0; token_device_ns && i < n_gen; i++) {
        const size_t step = first_step + 2 * size_t(i);
        if (const int rc = clock.elapsed_ns(step, step + 1, &token_device_ns[i], err)) {
            return rc;
        }
    }
    return LS_OK;
}

// Decodes the token that the first timed step is about to decode, and takes it back. ggml-cuda forgets the graph of a
// decode step in each prefill, and captures it anew in the step that follows: without this, the first step of every
// call would pay for what the others are spared. Models whose memory cannot step back are left as they are.
int prime(ls_context * c, int32_t token, ls_measurement * out, ls_error * err) {
    if (!c->clock.running() || llama_model_is_recurrent(c->model->model) || llama_model_is_hybrid(c->model->model)) {
        return LS_OK;
    }
    const int64_t start = ls::now_ns();
    c->clock.record(priming_begin);
    if (const int rc = ls::append(c, &token, 1, false)) {
        return ls::decode_failed(err, "decode", rc);
    }
    c->clock.record(priming_done);
    llama_synchronize(c->ctx);
    c->n_past--;
    if (!llama_memory_seq_rm(llama_get_memory(c->ctx), sequence, c->n_past, -1)) {
        return ls::fail(err, LS_FAILED, "decode", "the KV cache would not give back its last position");
    }
    out->priming_ns = ls::now_ns() - start;
    return LS_OK;
}

int measure(ls_context * c, const int32_t * prompt, int32_t n_prompt, int32_t n_gen, int32_t * output_ids,
            int64_t * token_ns, int64_t * sampling_ns, int64_t * token_device_ns, ls_measurement * out, ls_error * err) {
    *out = {};
    if (n_prompt < 1 || n_gen < 0) {
        return ls::fail(err, LS_BAD_ARG, "measure", "a prompt of %d tokens and %d decode steps: want at least 1 and 0", n_prompt, n_gen);
    }
    if (int64_t(n_prompt) + n_gen > int64_t(llama_n_ctx(c->ctx))) {
        return ls::fail(err, LS_KV_FULL, "measure", "prompt %d + gen %d tokens do not fit a context of %u", n_prompt, n_gen, llama_n_ctx(c->ctx));
    }
    if (const int rc = ls::check_tokens(c, prompt, n_prompt, err, "measure")) {
        return rc;
    }

    if (const int rc = c->clock.prepare(c->ctx, first_step + (token_device_ns ? 2 * size_t(n_gen) : 0), err)) {
        return rc;
    }

    const int64_t clear_start = ls::now_ns();
    ls_context_clear(c);
    llama_synchronize(c->ctx);
    out->kv_clear_ns = ls::now_ns() - clear_start;

    rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    const int64_t captures_before = ls::graph_captures();
    const int64_t e2e_start       = ls::now_ns();

    const int64_t prefill_start = ls::now_ns();
    c->clock.record(prefill_begin);
    if (const int rc = ls::append(c, prompt, n_prompt, false)) {
        return ls::decode_failed(err, "prefill", rc);
    }
    c->clock.record(prefill_done);
    llama_synchronize(c->ctx);
    const int64_t prefill_end = ls::now_ns();

    int32_t next = ls::argmax(llama_get_logits_ith(c->ctx, -1), c->n_vocab);

    const int64_t sampled_first = ls::now_ns();
    const int64_t captures      = ls::graph_captures() - captures_before;
    if (n_gen > 0) {
        if (const int rc = prime(c, next, out, err)) {
            return rc;
        }
    }
    const int64_t captures_primed = ls::graph_captures();

    const int64_t decode_start = ls::now_ns();
    int64_t       t            = decode_start;
    c->clock.record(decode_begin);
    if (n_gen == 0) {
        c->clock.record(decode_done);
    }
    for (int32_t i = 0; i < n_gen; i++) {
        output_ids[i] = next;
        if (token_device_ns) {
            c->clock.record(first_step + 2 * size_t(i));
        }
        if (const int rc = ls::append(c, &next, 1, false)) {
            return ls::decode_failed(err, "decode", rc);
        }
        if (token_device_ns) {
            c->clock.record(first_step + 2 * size_t(i) + 1);
        }
        if (i == n_gen - 1) { // after it the stream has nothing left: the last argmax is the host's
            c->clock.record(decode_done);
        }
        llama_synchronize(c->ctx);
        const int64_t decoded = ls::now_ns();
        next                  = ls::argmax(llama_get_logits_ith(c->ctx, -1), c->n_vocab);
        const int64_t sampled = ls::now_ns();
        token_ns[i]           = decoded - t;
        sampling_ns[i]        = sampled - decoded;
        t                     = sampled;
    }
    const int64_t decode_end = t;

    const int64_t e2e_end = ls::now_ns();
    getrusage(RUSAGE_SELF, &after);
    out->graph_captures = captures + ls::graph_captures() - captures_primed;

    out->prefill_start_ns     = prefill_start;
    out->prefill_end_ns       = prefill_end;
    out->decode_start_ns      = decode_start;
    out->decode_end_ns        = decode_end;
    out->prefill_ns           = prefill_end - prefill_start;
    out->first_sampling_ns    = sampled_first - prefill_end;
    out->decode_ns            = decode_end - decode_start;
    out->e2e_ns               = e2e_end - e2e_start - out->priming_ns;
    out->minor_faults         = after.ru_minflt - before.ru_minflt;
    out->major_faults         = after.ru_majflt - before.ru_majflt;
    out->involuntary_switches = after.ru_nivcsw - before.ru_nivcsw;
    out->cpu_time_ns          = timeval_ns(after.ru_utime) + timeval_ns(after.ru_stime)
                              - timeval_ns(before.ru_utime) - timeval_ns(before.ru_stime);
    out->rss_peak_bytes       = rss_peak_bytes();
    out->logits_finite        = all_finite(llama_get_logits_ith(c->ctx, -1), c->n_vocab);
    return device_times(c->clock, n_gen, token_device_ns, out, err);
}

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

int bare_decode(ls_context * c, const int32_t * prompt, int32_t n_prompt, const int32_t * ids, int32_t n,
                int64_t * total_ns, ls_error * err) {
    ls_context_clear(c);
    if (const int rc = ls::append(c, prompt, n_prompt, false)) {
        return ls::decode_failed(err, "prefill", rc);
    }
    llama_synchronize(c->ctx);

    const int64_t start = ls::now_ns();
    for (int32_t i = 0; i < n; i++) {
        int32_t id = ids[i];
        if (const int rc = llama_decode(c->ctx, llama_batch_get_one(&id, 1))) {
            return ls::decode_failed(err, "decode", rc);
        }
        llama_synchronize(c->ctx);
    }
    *total_ns = ls::now_ns() - start;
    c->n_past += n;
    return LS_OK;
}

} // namespace

extern "C" int ls_measure(ls_context * c, const int32_t * prompt, int32_t n_prompt, int32_t n_gen,
                          int32_t * output_ids, int64_t * token_ns, int64_t * sampling_ns, int64_t * token_device_ns,
                          ls_measurement * out, ls_error * err) {
    return ls::guarded(err, "measure", [&] {
        return measure(c, prompt, n_prompt, n_gen, output_ids, token_ns, sampling_ns, token_device_ns, out, err);
    });
}

extern "C" int ls_eval(ls_context * c, const int32_t * tokens, int32_t n_tokens, bool all, float * logits, ls_error * err) {
    return ls::guarded(err, "eval", [&] { return eval(c, tokens, n_tokens, all, logits, err); });
}

extern "C" int ls_bare_decode(ls_context * c, const int32_t * prompt, int32_t n_prompt, const int32_t * ids, int32_t n,
                              int64_t * total_ns, ls_error * err) {
    return ls::guarded(err, "decode", [&] { return bare_decode(c, prompt, n_prompt, ids, n, total_ns, err); });
}
