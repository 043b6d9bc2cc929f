// What a CPU can do at most besides reading memory: multiply-adds on registers,
// and how long its threads take to meet.
#include "common.h"
#include "steady.h"
#include "team.h"

#include <atomic>
#include <cmath>
#include <omp.h>

extern "C" int ls_fma_rate(int32_t n_threads, int64_t steps, int32_t passes, int64_t * pass_ns, int64_t * flop, double * checksum, ls_error * err) {
    if (n_threads < 1 || steps < 1 || passes < 1) {
        return ls::fail(err, LS_BAD_ARG, "fma rate", "%d threads, %lld steps, %d passes: want at least 1 of each", n_threads, (long long) steps, passes);
    }
    volatile float       m = 1 - 1.0f / 1024, b = 1.0f / 1024;
    std::atomic<int64_t> sum{0}; // in 1/1024, as threads may only add integers in any order to the same end
    const int rc = ls::timed_passes(
        err, "fma rate", n_threads, passes, pass_ns, [](int) {},
        [&](int) { sum.fetch_add(std::llround(double(ls::advance(steps, m, b)) * 1024), std::memory_order_relaxed); });
    if (rc != LS_OK) {
        return rc;
    }
    *flop     = int64_t(n_threads) * steps * ls::fma_chains * ls::fma_lanes * 2;
    *checksum = double(sum) / 1024 / (double(n_threads) * passes * ls::fma_chains * ls::fma_lanes);
    return LS_OK;
}

extern "C" int ls_barrier_cost(int32_t n_threads, int64_t barriers, int32_t passes, int64_t * pass_ns, ls_error * err) {
    if (n_threads < 2 || barriers < 1 || passes < 1) {
        return ls::fail(err, LS_BAD_ARG, "barrier", "%d threads, %lld barriers, %d passes: want at least 2, 1 and 1", n_threads, (long long) barriers, passes);
    }
    int team = 0;
    // As ggml_graph_compute and ggml_barrier do it where ggml is built with OpenMP,
    // as it is here: one parallel region for a graph, and `omp barrier` between two
    // operations. So libgomp's own barrier is measured, with its way of waiting
    // (OMP_WAIT_POLICY, GOMP_SPINCOUNT), not one that this program would write.
#pragma omp parallel num_threads(n_threads)
    {
#pragma omp single
        team = omp_get_num_threads();
        // What follows is done by all of a team or by none: single ends in a barrier.
        if (team == n_threads) {
            for (int32_t pass = 0; pass < passes; pass++) {
#pragma omp barrier
                const int64_t start = ls::now_ns();
                for (int64_t i = 0; i < barriers; i++) {
#pragma omp barrier
                }
#pragma omp master
                pass_ns[pass] = ls::now_ns() - start;
            }
        }
    }
    if (team != n_threads) {
        return ls::fail(err, LS_FAILED, "barrier", "OpenMP gives %d threads, not %d (OMP_THREAD_LIMIT, OMP_DYNAMIC)", team, n_threads);
    }
    return LS_OK;
}
