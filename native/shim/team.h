// Threads that do the same work at the same time, pass after pass, and are timed
// as one: what the probes of a CPU's ceilings share.
#pragma once

#include "common.h"

#include <atomic>
#include <thread>
#include <vector>

namespace ls {

// Waits until all threads have arrived; spinning, since a futex would cost more
// than a pass over a small buffer. It gives the processor away only after some
// microseconds: the system call for it takes longer than threads take to meet.
// Neither does it pause, whose length would be seen in that time.
class spin_barrier {
  public:
    // Waits for n threads in all; each of them says so.
    void wait(int n) {
        const int phase = phase_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n) {
            arrived_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; phase_.load(std::memory_order_acquire) == phase; spins++) {
            if (spins > 4000) {
                std::this_thread::yield();
            }
        }
    }

  private:
    alignas(64) std::atomic<int> arrived_{0}; // with phase_ in one cache line, and nothing else
    std::atomic<int>             phase_{0};
};

// Calls prepare(i) once and then, `passes` times, before(i), which is not timed, and
// work(i) on thread i of n_threads, all starting each pass's work together.
// pass_ns[p] lasts from its first thread's start to its last one's end.
template <typename Prepare, typename Before, typename Work>
int timed_passes(ls_error * err, const char * op, int32_t n_threads, int32_t passes, int64_t * pass_ns, Prepare prepare, Before before,
                 Work work) {
    struct span {
        int64_t start, end;
    };
    std::vector<span>        spans; // of each pass and thread
    std::vector<std::thread> threads;
    spin_barrier             barrier;
    std::atomic<int>         go{0}; // 1: all threads are there; -1: one could not be started
    auto run = [&](int index) {
        while (go.load(std::memory_order_acquire) == 0) {
            std::this_thread::yield();
        }
        if (go.load(std::memory_order_acquire) < 0) {
            return;
        }
        prepare(index);
        for (int32_t pass = 0; pass < passes; pass++) {
            before(index);
            barrier.wait(n_threads);
            span & t = spans[size_t(pass) * size_t(n_threads) + size_t(index)];
            t.start  = now_ns();
            work(index);
            t.end = now_ns();
        }
    };
    const int rc = guarded(err, op, [&] {
        spans.resize(size_t(n_threads) * size_t(passes));
        for (int i = 1; i < n_threads; i++) {
            threads.emplace_back(run, i);
        }
        return int(LS_OK);
    });
    go.store(rc == LS_OK ? 1 : -1, std::memory_order_release);
    if (rc == LS_OK) {
        run(0);
    }
    for (auto & t : threads) {
        t.join();
    }
    if (rc != LS_OK) {
        return rc;
    }
    for (int32_t pass = 0; pass < passes; pass++) {
        span whole = spans[size_t(pass) * size_t(n_threads)];
        for (int i = 1; i < n_threads; i++) {
            const span & t = spans[size_t(pass) * size_t(n_threads) + size_t(i)];
            whole.start    = t.start < whole.start ? t.start : whole.start;
            whole.end      = t.end > whole.end ? t.end : whole.end;
        }
        pass_ns[pass] = whole.end - whole.start;
    }
    return LS_OK;
}

template <typename Prepare, typename Work>
int timed_passes(ls_error * err, const char * op, int32_t n_threads, int32_t passes, int64_t * pass_ns, Prepare prepare, Work work) {
    return timed_passes(err, op, n_threads, passes, pass_ns, prepare, [](int) {}, work);
}

} // namespace ls
