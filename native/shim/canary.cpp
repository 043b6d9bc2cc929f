// A fixed piece of work before each call, on the threads that will compute it. It wakes them, and its time shows what
// the machine did to known work a moment before the call.
#include "context.h"
#include "steady.h"
#include "team.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace {

// Some milliseconds together on a core of 3 GHz: long beside a clock reading and the meeting of the threads, short beside
// the untimed work that follows. The memory is small, since it adds to the worker's peak.
constexpr size_t  read_bytes = size_t(1) << 20; // of each thread, in each sweep
constexpr int     sweeps     = 16;
constexpr int64_t fma_steps  = 1000000;

struct work {
    char *           memory; // read_bytes for each of `most` threads
    int              most;
    ls::spin_barrier barrier;
    int64_t          read_ns = 0, compute_ns = 0;
    volatile float   m = 1 - 1.0f / 1024, b = 1.0f / 1024; // see ls::advance
};

// All threads meet between the parts, so that thread 0's clock tells of the slowest.
void run(ggml_tensor *, const ggml_tensor *, int index, int n, void * data) {
    auto *       w       = static_cast<work *>(data);
    const char * mine    = w->memory + size_t(index % w->most) * read_bytes;
    const auto   meet_at = [&] {
        w->barrier.wait(n);
        return ls::now_ns();
    };
    for (int i = 0; i < sweeps; i++) {
        ls::flush(mine, read_bytes);
        const int64_t  start = meet_at();
        // A volatile result, so that no load is optimised away.
        volatile uint64_t sink = ls::sum<1>(reinterpret_cast<const ls::lanes *>(mine), read_bytes / sizeof(ls::lanes));
        (void) sink;
        const int64_t end = meet_at();
        if (index == 0 && ls::can_flush) { // else it was read from the caches
            w->read_ns += end - start;
        }
    }
    const int64_t  start = meet_at();
    volatile float sink = ls::advance(fma_steps, w->m, w->b);
    (void) sink;
    const int64_t end = meet_at();
    if (index == 0) {
        w->compute_ns = end - start;
    }
}

} // namespace

int ls::canary(ls_context * c, int64_t n_tokens, canary_times * out, ls_error * err) {
    // On a GPU the host's threads wait, but for the one that launches.
    const bool    batch     = n_tokens > 1;
    const int32_t n_threads = c->clock.running() ? 1 : batch ? llama_n_threads_batch(c->ctx) : llama_n_threads(c->ctx);
    const int32_t most      = std::max(llama_n_threads(c->ctx), llama_n_threads_batch(c->ctx));
    if (!c->canary) {
        const size_t bytes = size_t(most) * read_bytes;
        void *       p     = nullptr;
        if (posix_memalign(&p, 1 << 21, bytes) != 0) {
            return fail(err, LS_NO_MEMORY, "canary", "no memory for %zu bytes", bytes);
        }
        c->canary.reset(static_cast<char *>(p));
#ifdef MADV_HUGEPAGE
        (void) madvise(p, bytes, MADV_HUGEPAGE); // so that it reads memory and not page tables
#endif
        std::memset(p, 1, bytes); // a page that was never written is not read from memory
    }
    work w;
    w.memory = c->canary.get();
    w.most   = most;
    if (const int rc = on_team(batch ? c->pool_batch : c->pool, n_threads, run, &w, err)) {
        return rc;
    }
    *out = {w.read_ns, w.compute_ns};
    return LS_OK;
}
