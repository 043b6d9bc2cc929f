// How fast this machine reads memory with the threads that inference uses: the
// ceiling under which batch-1 decode lives.
#include "common.h"
#include "steady.h"
#include "team.h"

#include <atomic>
#include <cstdlib>
#include <sys/mman.h>

using ls::lanes;

extern "C" int ls_read_bandwidth(size_t bytes, int32_t n_threads, int32_t streams, int32_t sweeps, int32_t cold, int32_t passes,
                                 int64_t * pass_ns, size_t * bytes_read, uint64_t * checksum, ls_error * err) {
    if (cold != 0 && !ls::can_flush) {
        return ls::fail(err, LS_BAD_ARG, "read bandwidth", "this CPU has no instruction by which a program empties its caches");
    }
    if (n_threads < 1 || sweeps < 1 || passes < 1) {
        return ls::fail(err, LS_BAD_ARG, "read bandwidth", "%d threads, %d sweeps, %d passes: want at least 1 of each", n_threads, sweeps,
                        passes);
    }
    uint64_t (*read)(const lanes *, size_t) = streams == 1 ? ls::sum<1> : streams == 4 ? ls::sum<4> : nullptr;
    if (read == nullptr) {
        return ls::fail(err, LS_BAD_ARG, "read bandwidth", "%d streams: want 1 or 4", streams);
    }
    const size_t page  = 4096;
    const size_t share = bytes / size_t(n_threads) / page * page;
    if (share == 0) {
        return ls::fail(err, LS_BAD_ARG, "read bandwidth", "%zu bytes are less than a page for each of %d threads", bytes, n_threads);
    }
    const size_t size   = share * size_t(n_threads);
    void *       buffer = nullptr;
    if (posix_memalign(&buffer, 1 << 21, size) != 0) {
        return ls::fail(err, LS_NO_MEMORY, "read bandwidth", "no memory for a buffer of %zu bytes", size);
    }
#ifdef MADV_HUGEPAGE
    // A ceiling is without page-table walks. Where the kernel has no large pages
    // to give, the figure is that of small ones, and so is inference's.
    (void) madvise(buffer, size, MADV_HUGEPAGE);
#endif
    std::atomic<uint64_t> total{0};
    auto mine = [&](int index) { return static_cast<char *>(buffer) + share * size_t(index); };
    const int rc = ls::timed_passes(
        err, "read bandwidth", n_threads, passes, pass_ns,
        [&](int index) {
            // Each thread touches its own share first, so that its pages lie on its node.
            auto * p = reinterpret_cast<uint64_t *>(mine(index));
            for (size_t i = 0; i < share / 8; i++) {
                p[i] = i;
            }
        },
        [&](int index) {
            if (cold != 0) {
                ls::flush(mine(index), share);
            }
        },
        [&](int index) {
            const auto * p = reinterpret_cast<const lanes *>(mine(index));
            uint64_t     s = 0;
            for (int32_t sweep = 0; sweep < sweeps; sweep++) {
                s += read(p, share / sizeof(lanes));
                // Memory may have changed, for all that the compiler knows: no sweep's loads can be merged with another's.
                asm volatile("" ::: "memory");
            }
            total.fetch_add(s, std::memory_order_relaxed);
        });
    free(buffer);
    if (rc != LS_OK) {
        return rc;
    }
    *bytes_read = size * size_t(sweeps);
    *checksum   = total;
    return LS_OK;
}
