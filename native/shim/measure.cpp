// The timed phases. This file is what every figure comes from.
// SPDX-License-Identifier: MIT
#include "argmax.h"
#include "context.h"

#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <sys/resource.h>

namespace {

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

// Events of a call; those of step i follow at first_step + 2 i.
enum : size_t { prefill_begin, prefill_done, priming_begin, priming_done, decode_begin, decode_done, first_step };

// Reads the events of a call that is over.
int device_times(const ls::device_clock & clock, const ls_call & call, ls_measurement * out, ls_error * err) {
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
    for (int32_t i = 0; call.token_device_ns && i < call.n_gen; i++) {
        const size_t step = first_step + 2 * size_t(i);
        if (const int rc = clock.elapsed_ns(step, step + 1, &call.token_device_ns[i], err)) {
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
    if (!llama_memory_seq_rm(llama_get_memory(c->ctx), ls::sequence, c->n_past, -1)) {
        return ls::fail(err, LS_FAILED, "decode", "the KV cache would not give back its last position");
    }
    out->priming_ns = ls::now_ns() - start;
    return LS_OK;
}

int measure(ls_context * c, const ls_call & call, ls_measurement * out, ls_error * err) {
    *out = {};
    const int32_t n_prompt = call.n_prompt, n_gen = call.n_gen;
    if (n_prompt < 1 || n_gen < 0) {
        return ls::fail(err, LS_BAD_ARG, "measure", "a prompt of %d tokens and %d decode steps: want at least 1 and 0", n_prompt, n_gen);
    }
    if (int64_t(n_prompt) + n_gen > int64_t(llama_n_ctx(c->ctx))) {
        return ls::fail(err, LS_KV_FULL, "measure", "prompt %d + gen %d tokens do not fit a context of %u", n_prompt, n_gen, llama_n_ctx(c->ctx));
    }
    if (const int rc = ls::check_tokens(c, call.prompt, n_prompt, err, "measure")) {
        return rc;
    }

    if (const int rc = c->clock.prepare(c->ctx, first_step + (call.token_device_ns ? 2 * size_t(n_gen) : 0), err)) {
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
    if (const int rc = ls::append(c, call.prompt, n_prompt, false)) {
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
        call.output_ids[i] = next;
        if (call.token_device_ns) {
            c->clock.record(first_step + 2 * size_t(i));
        }
        if (const int rc = ls::append(c, &next, 1, false)) {
            return ls::decode_failed(err, "decode", rc);
        }
        if (call.token_device_ns) {
            c->clock.record(first_step + 2 * size_t(i) + 1);
        }
        if (i == n_gen - 1) { // after it the stream has nothing left: the last argmax is the host's
            c->clock.record(decode_done);
        }
        llama_synchronize(c->ctx);
        const int64_t decoded = ls::now_ns();
        next                  = ls::argmax(llama_get_logits_ith(c->ctx, -1), c->n_vocab);
        const int64_t sampled = ls::now_ns();
        call.token_ns[i]      = decoded - t;
        call.sampling_ns[i]   = sampled - decoded;
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
    return device_times(c->clock, call, out, err);
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

extern "C" int ls_measure(ls_context * c, ls_call call, ls_measurement * out, ls_error * err) {
    return ls::guarded(err, "measure", [&] { return measure(c, call, out, err); });
}

extern "C" int ls_bare_decode(ls_context * c, const int32_t * prompt, int32_t n_prompt, const int32_t * ids, int32_t n,
                              int64_t * total_ns, ls_error * err) {
    return ls::guarded(err, "decode", [&] { return bare_decode(c, prompt, n_prompt, ids, n, total_ns, err); });
}
