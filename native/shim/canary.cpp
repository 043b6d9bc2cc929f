// A fixed piece of work before each call, on the threads that will compute it. It wakes them, and its time shows what
// the machine did to known work a moment before the call.
#include "context.h"
#include "steady.h"
#include "team.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <vector>

namespace {

// Some milliseconds together on a core of 3 GHz: long beside a clock reading and the meeting of the threads, short beside
// the untimed work that follows. The memory is small, since it adds to the worker's peak.
constexpr size_t  read_bytes = size_t(1) << 20; // of each thread, in each sweep
constexpr int     sweeps     = 16;
constexpr int64_t fma_steps  = 1000000;

// Batches of meetings, fewer of more threads, which take longer to meet: about 0.1 ms in all. The clock is read once in a
// batch, and the median batch counts: a timer's interrupt takes as long as tens of meetings.
constexpr int     batches   = 15;
constexpr int     meetings  = 128; // of each batch, by the number of threads
constexpr int     fewest    = 4;
constexpr int64_t enough_ns = 1000000; // no batch is begun after it: more threads than processors take long to meet

struct work {
    char *              memory; // read_bytes for each of `most` threads
    int                 most;
    ls::spin_barrier    barrier;
    int64_t             read_ns = 0, compute_ns = 0;
    std::vector<double> meeting_ns; // of each batch
    std::atomic<bool>   met{false}; // often enough
    volatile float      m = 1 - 1.0f / 1024, b = 1.0f / 1024; // see ls::advance
};

// Has the threads meet again and again.
void meet(work * w, int index, int n) {
    const int     count = std::max(fewest, meetings / n);
    const int64_t begin = ls::now_ns();
    for (int b = 0; n > 1 && b < batches && !w->met.load(std::memory_order_relaxed); b++) {
        const int64_t start = ls::now_ns();
        for (int i = 0; i < count; i++) {
            w->barrier.wait(n);
        }
        if (index == 0) {
            const int64_t end = ls::now_ns();
            w->meeting_ns.push_back(double(end - start) / count);
            w->met.store(end - begin > enough_ns, std::memory_order_relaxed);
        }
        w->barrier.wait(n); // all see the same of it
    }
}

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
    meet(w, index, n);
}

// 0 of nothing.
double median(std::vector<double> & xs) {
    if (xs.empty()) {
        return 0;
    }
    std::nth_element(xs.begin(), xs.begin() + long(xs.size() / 2), xs.end());
    return xs[xs.size() / 2];
}

} // namespace

int ls::canary(ls_context * c, int64_t n_tokens, canary_times * out, ls_error * err) {
    // Where a GPU does it all, the host's threads wait, but for the one that launches.
    const bool    batch     = n_tokens > 1;
    const int32_t n_threads = c->model->on_gpu ? 1 : batch ? llama_n_threads_batch(c->ctx) : llama_n_threads(c->ctx);
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
    w.meeting_ns.reserve(batches);
    w.memory = c->canary.get();
    w.most   = most;
    if (const int rc = on_team(batch ? c->pool_batch : c->pool, n_threads, run, &w, err)) {
        return rc;
    }
    *out = {w.read_ns, w.compute_ns, median(w.meeting_ns)};
    return LS_OK;
}
