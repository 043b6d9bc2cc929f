// How fast this machine reads memory with the threads that inference uses: the
// ceiling under which batch-1 decode lives.
// SPDX-License-Identifier: MIT
#include "common.h"

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

// Sums n 64-bit words. Sixteen independent sums let the compiler keep several
// wide loads in flight; integer addition needs no leave to be reordered.
uint64_t sum(const uint64_t * p, size_t n) {
    uint64_t s[16] = {};
    for (size_t i = 0; i + 16 <= n; i += 16) {
        for (int l = 0; l < 16; l++) {
            s[l] += p[i + l];
        }
    }
    uint64_t total = 0;
    for (uint64_t v : s) {
        total += v;
    }
    return total;
}

// Waits until all threads have arrived; spinning, since a futex would cost more
// than a pass over a small buffer.
class spin_barrier {
  public:
    explicit spin_barrier(int n) : n_(n) {}
    void wait() {
        const int phase = phase_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == n_) {
            arrived_.store(0, std::memory_order_relaxed);
            phase_.store(phase + 1, std::memory_order_release);
            return;
        }
        while (phase_.load(std::memory_order_acquire) == phase) {
            std::this_thread::yield();
        }
    }

  private:
    const int        n_;
    std::atomic<int> arrived_{0};
    std::atomic<int> phase_{0};
};

} // namespace

extern "C" int ls_read_bandwidth(size_t bytes, int32_t n_threads, int32_t passes, int64_t * pass_ns, size_t * bytes_read,
                                 uint64_t * checksum, ls_error * err) {
    if (n_threads < 1 || passes < 1) {
        return ls::fail(err, LS_BAD_ARG, "read bandwidth", "%d threads, %d passes: want at least 1 of each", n_threads, passes);
    }
    const size_t page  = 4096;
    const size_t share = bytes / size_t(n_threads) / page * page;
    if (share == 0) {
        return ls::fail(err, LS_BAD_ARG, "read bandwidth", "%zu bytes are less than a page for each of %d threads", bytes, n_threads);
    }
    *bytes_read = share * size_t(n_threads);
    void * buffer = nullptr;
    if (posix_memalign(&buffer, 1 << 21, *bytes_read) != 0) {
        return ls::fail(err, LS_NO_MEMORY, "read bandwidth", "no memory for a buffer of %zu bytes", *bytes_read);
    }

    struct span {
        int64_t start, end;
    };
    std::vector<span>        spans(size_t(n_threads) * size_t(passes)); // of each thread and pass
    std::vector<std::thread> threads;
    spin_barrier             barrier(n_threads);
    std::atomic<uint64_t>    total{0};
    std::atomic<int>         go{0}; // 1: all threads are there; -1: one could not be started
    auto work = [&](int index) {
        while (go.load(std::memory_order_acquire) == 0) {
            std::this_thread::yield();
        }
        if (go.load(std::memory_order_acquire) < 0) {
            return;
        }
        auto * mine = reinterpret_cast<uint64_t *>(static_cast<char *>(buffer) + share * size_t(index));
        // Each thread touches its own share first, so that its pages lie on its node.
        for (size_t i = 0; i < share / 8; i++) {
            mine[i] = i;
        }
        uint64_t s = 0;
        for (int32_t pass = 0; pass < passes; pass++) {
            barrier.wait();
            span & t = spans[size_t(pass) * size_t(n_threads) + size_t(index)];
            t.start  = ls::now_ns();
            s += sum(mine, share / 8);
            t.end = ls::now_ns();
        }
        total += s;
    };
    const int rc = ls::guarded(err, "read bandwidth", [&] {
        for (int i = 1; i < n_threads; i++) {
            threads.emplace_back(work, i);
        }
        return int(LS_OK);
    });
    go.store(rc == LS_OK ? 1 : -1, std::memory_order_release);
    if (rc == LS_OK) {
        work(0);
    }
    for (auto & t : threads) {
        t.join();
    }
    free(buffer);
    if (rc != LS_OK) {
        return rc;
    }
    // A pass lasts from its first thread's start to its last one's end.
    for (int32_t pass = 0; pass < passes; pass++) {
        span whole = spans[size_t(pass) * size_t(n_threads)];
        for (int i = 1; i < n_threads; i++) {
            const span & t = spans[size_t(pass) * size_t(n_threads) + size_t(i)];
            whole.start    = t.start < whole.start ? t.start : whole.start;
            whole.end      = t.end > whole.end ? t.end : whole.end;
        }
        pass_ns[pass] = whole.end - whole.start;
    }
    *checksum = total;
    return LS_OK;
}
