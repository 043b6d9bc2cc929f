// The timed phases. This file is what every figure comes from.
#include "argmax.h"
#include "context.h"
#include "energy.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <sys/resource.h>
#include <vector>

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

// Takes the argmax of each sequence that ends within ids [begin, end) of prompts of n tokens, the last llama_decode's.
void sample(const ls_context * c, int64_t n, int64_t begin, int64_t end, std::vector<int32_t> & next) {
    for (int64_t s = begin / n; (s + 1) * n <= end; s++) {
        next[size_t(s)] = ls::argmax(llama_get_logits_ith(c->ctx, int32_t((s + 1) * n - 1 - begin)), c->n_vocab);
    }
}

// Decodes one token of each sequence.
int step(ls_context * c, const std::vector<int32_t> & tokens) {
    return ls::append(c, tokens.data(), int32_t(tokens.size()), 1, ls::logits::last, [](int64_t, int64_t) {});
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

// ggml-cuda forgets the CUDA graph of a decode step in each prefill. Ollama's captures it anew in the step that follows,
// the newest (0c1e57098, ggml_backend_cuda_graph_compute) runs one step without and captures in the second.
constexpr int priming_steps = 2;

// Decodes the tokens that the first timed step is about to decode, and takes them back, until the graph is captured:
// without this, the first steps of every call would pay for what the others are spared. Models whose memory cannot step
// back are left as they are.
int prime(ls_context * c, const std::vector<int32_t> & tokens, ls_measurement * out, ls_error * err) {
    if (!c->clock.running() || llama_model_is_recurrent(c->model->model) || llama_model_is_hybrid(c->model->model)) {
        return LS_OK;
    }
    const int64_t start = ls::now_ns();
    c->clock.record(priming_begin);
    for (int i = 0; i < priming_steps; i++) {
        if (const int rc = step(c, tokens)) {
            return ls::decode_failed(err, "decode", rc);
        }
        if (i == priming_steps - 1) {
            c->clock.record(priming_done);
        }
        llama_synchronize(c->ctx);
        c->n_past--;
        for (size_t s = 0; s < tokens.size(); s++) {
            if (!llama_memory_seq_rm(llama_get_memory(c->ctx), llama_seq_id(s), c->n_past, -1)) {
                return ls::fail(err, LS_FAILED, "decode", "the KV cache would not give back its last position");
            }
        }
    }
    out->priming_ns = ls::now_ns() - start;
    return LS_OK;
}

// Evaluates the prompts; next becomes the argmax of each one's last logits. What that took of the time before
// llama.cpp was done with the last prompt is returned in *sampling_ns.
int prefill(ls_context * c, const ls_call & call, std::vector<int32_t> & next, int64_t * sampling_ns, ls_error * err) {
    const int64_t n = call.n_prompt, total = n * call.n_seq;
    const int     rc = ls::append(c, call.prompt, call.n_seq, call.n_prompt, ls::logits::last, [&](int64_t begin, int64_t end) {
        if (end == total || begin / n == end / n) {
            return; // the last one's logits keep until prefill is over; or no prompt ended
        }
        llama_synchronize(c->ctx);
        const int64_t start = ls::now_ns();
        sample(c, n, begin, end, next);
        *sampling_ns += ls::now_ns() - start;
    });
    return rc ? ls::decode_failed(err, "prefill", rc) : LS_OK;
}

// When untimed work is to end, and whether it did not by itself.
struct limit {
    int64_t at_ns;
    bool    reached = false;
};

bool past_limit(void * data) {
    auto * l   = static_cast<limit *>(data);
    l->reached = l->reached || ls::now_ns() > l->at_ns;
    if (l->reached) {
        ls::mute_log(true); // llama.cpp takes it for a failure, and to read of it would disturb the timed call that follows
    }
    return l->reached;
}

// Computes the call's prefill until call.hot_ns have passed, as calls back to back would, and takes it back each time.
// The first is no cold one where the cache was filled right before it. ggml asks between operations whether to break
// off; ggml-cuda does not.
int heat(ls_context * c, const ls_call & call, bool filled, ls_measurement * out, ls_error * err) {
    std::vector<int32_t> next(size_t(call.n_seq));
    int64_t              sampling_ns = 0, end = 0;
    const int64_t        start       = ls::now_ns();
    limit                most{start + call.hot_most_ns};
    for (bool first = !filled; end - start < call.hot_ns; first = false) {
        const int64_t begin = ls::now_ns();
        llama_set_abort_callback(c->ctx, past_limit, &most);
        const int rc = prefill(c, call, next, &sampling_ns, err);
        llama_synchronize(c->ctx);
        llama_set_abort_callback(c->ctx, nullptr, nullptr);
        ls::mute_log(false);
        const bool broken_off = rc == LS_ABORTED && most.reached;
        if (rc && !broken_off) {
            return rc;
        }
        end = ls::now_ns();
        if (first && !broken_off) {
            out->prefill_cold_ns = end - begin - sampling_ns;
        }
        bool refilled;
        if (const int rewound = ls::rewind(c, call.past, call.n_seq, call.depth, &refilled, err)) {
            return rewound;
        }
    }
    return LS_OK;
}

void idle(int64_t ns) {
    const int64_t until = ls::now_ns() + ns;
    timespec      t{time_t(until / 1000000000), long(until % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR) {
    }
}

// Computes until what began at start_ns has taken `share` longer: see ls_call.slowdown.
void linger(int64_t start_ns, double share) {
    if (share > 0) {
        const int64_t now = ls::now_ns(), until = now + int64_t(share * double(now - start_ns));
        while (ls::now_ns() < until) {
        }
    }
}

int check(const ls_context * c, const ls_call & call, ls_error * err) {
    if (call.n_seq < 1 || call.n_seq > c->n_seq || call.n_seq > c->n_batch) {
        return ls::fail(err, LS_BAD_ARG, "measure", "%d sequences: want 1 to %d, what the context and a batch hold", call.n_seq, std::min(c->n_seq, c->n_batch));
    }
    if (call.n_prompt < 1 || call.n_gen < 0 || call.depth < 0) {
        return ls::fail(err, LS_BAD_ARG, "measure", "a prompt of %d tokens, %d decode steps and a depth of %d: want at least 1, 0 and 0", call.n_prompt, call.n_gen, call.depth);
    }
    if (int64_t(call.depth) + call.n_prompt + call.n_gen > int64_t(llama_n_ctx_seq(c->ctx))) {
        return ls::fail(err, LS_KV_FULL, "measure", "depth %d + prompt %d + gen %d tokens do not fit a context of %u", call.depth, call.n_prompt, call.n_gen,
                        llama_n_ctx_seq(c->ctx));
    }
    if (const int rc = ls::check_tokens(c, call.prompt, int64_t(call.n_seq) * call.n_prompt, err, "measure")) {
        return rc;
    }
    return ls::check_tokens(c, call.past, int64_t(call.n_seq) * call.depth, err, "measure");
}

int measure(ls_context * c, const ls_call & call, ls_measurement * out, ls_error * err) {
    *out = {};
    if (const int rc = check(c, call, err)) {
        return rc;
    }
    const int32_t        n_gen = call.n_gen;
    std::vector<int32_t> next(size_t(call.n_seq));

    if (const int rc = c->clock.prepare(c->ctx, first_step + (call.token_device_ns ? 2 * size_t(n_gen) : 0), err)) {
        return rc;
    }

    const int64_t clear_start = ls::now_ns();
    bool          filled;
    if (const int rc = ls::rewind(c, call.past, call.n_seq, call.depth, &filled, err)) {
        return rc;
    }
    out->kv_clear_ns = ls::now_ns() - clear_start;
    if (call.canary) {
        ls::canary_times canary;
        if (const int rc = ls::canary(c, int64_t(call.n_prompt) * call.n_seq, &canary, err)) {
            return rc;
        }
        out->canary_read_ns = canary.read_ns, out->canary_compute_ns = canary.compute_ns, out->canary_sync_ns = canary.sync_ns;
    }
    if (call.hot_ns > 0) {
        if (const int rc = heat(c, call, filled, out, err)) {
            return rc;
        }
    }
    if (call.idle_ns > 0) {
        idle(call.idle_ns);
    }

    rusage before, after;
    ls::read_energy(call, 0);
    getrusage(RUSAGE_SELF, &before);
    const int64_t captures_before = ls::graph_captures();
    const int64_t e2e_start       = ls::now_ns();

    int64_t       sampling_ns   = 0;
    const int64_t prefill_start = ls::now_ns();
    c->clock.record(prefill_begin);
    if (const int rc = prefill(c, call, next, &sampling_ns, err)) {
        return rc;
    }
    c->clock.record(prefill_done);
    llama_synchronize(c->ctx);
    linger(prefill_start, call.slowdown);
    const int64_t prefill_end = ls::now_ns();

    const int64_t total = int64_t(call.n_prompt) * call.n_seq;
    sample(c, call.n_prompt, (total - 1) / c->n_batch * c->n_batch, total, next);

    const int64_t sampled_first = ls::now_ns();
    const int64_t captures      = ls::graph_captures() - captures_before;
    if (const int rc = ls::check_positions(c, call.n_seq, err)) {
        return rc;
    }
    if (n_gen > 0) {
        if (const int rc = prime(c, next, out, err)) {
            return rc;
        }
    }
    const int64_t captures_primed = ls::graph_captures();

    const int64_t reading_start = ls::now_ns();
    ls::read_energy(call, 1);

    const int64_t decode_start = ls::now_ns();
    int64_t       t            = decode_start;
    c->clock.record(decode_begin);
    if (n_gen == 0) {
        c->clock.record(decode_done);
    }
    for (int32_t i = 0; i < n_gen; i++) {
        for (int32_t s = 0; s < call.n_seq; s++) {
            call.output_ids[int64_t(s) * n_gen + i] = next[size_t(s)];
        }
        if (call.token_device_ns) {
            c->clock.record(first_step + 2 * size_t(i));
        }
        if (const int rc = step(c, next)) {
            return ls::decode_failed(err, "decode", rc);
        }
        if (call.token_device_ns) {
            c->clock.record(first_step + 2 * size_t(i) + 1);
        }
        if (i == n_gen - 1) { // after it the stream has nothing left: the last argmax is the host's
            c->clock.record(decode_done);
        }
        llama_synchronize(c->ctx);
        linger(t, call.slowdown);
        const int64_t decoded = ls::now_ns();
        sample(c, 1, 0, call.n_seq, next);
        const int64_t sampled = ls::now_ns();
        call.token_ns[i]      = decoded - t;
        call.sampling_ns[i]   = sampled - decoded;
        t                     = sampled;
    }
    const int64_t decode_end = t;

    const int64_t e2e_end = ls::now_ns();
    getrusage(RUSAGE_SELF, &after);
    ls::read_energy(call, 2);
    out->graph_captures = captures + ls::graph_captures() - captures_primed;

    out->prefill_start_ns     = prefill_start;
    out->prefill_end_ns       = prefill_end;
    out->decode_start_ns      = decode_start;
    out->decode_end_ns        = decode_end;
    out->prefill_ns           = prefill_end - prefill_start - sampling_ns;
    out->first_sampling_ns    = sampled_first - prefill_end + sampling_ns;
    out->decode_ns            = decode_end - decode_start;
    out->e2e_ns               = e2e_end - e2e_start - out->priming_ns - (decode_start - reading_start);
    out->minor_faults         = after.ru_minflt - before.ru_minflt;
    out->major_faults         = after.ru_majflt - before.ru_majflt;
    out->disk_read_bytes      = 512 * int64_t(after.ru_inblock - before.ru_inblock); // read_bytes of /proc/PID/io, in sectors
    out->involuntary_switches = after.ru_nivcsw - before.ru_nivcsw;
    out->cpu_time_ns          = timeval_ns(after.ru_utime) + timeval_ns(after.ru_stime)
                              - timeval_ns(before.ru_utime) - timeval_ns(before.ru_stime);
    out->rss_peak_bytes       = rss_peak_bytes();
    out->logits_finite        = true;
    // Of prefill without a step, those of a sequence that ended in an earlier llama_decode are gone.
    const int32_t rows = n_gen > 0 ? call.n_seq : 1;
    for (int32_t s = 0; s < rows; s++) {
        out->logits_finite = out->logits_finite && all_finite(llama_get_logits_ith(c->ctx, s - rows), c->n_vocab);
    }
    return device_times(c->clock, call, out, err);
}

int bare_decode(ls_context * c, const int32_t * prompt, int32_t n_prompt, const int32_t * ids, int32_t n,
                int64_t * total_ns, ls_error * err) {
    ls_context_clear(c);
    if (const int rc = ls::append(c, prompt, n_prompt, ls::logits::last)) {
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
