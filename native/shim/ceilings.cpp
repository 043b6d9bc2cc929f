// What a CPU can do at most besides reading memory: multiply-adds on registers,
// and how long its threads take to meet.
#include "common.h"
#include "team.h"

#include <atomic>
#include <cmath>
#include <omp.h>

namespace {

// One register of the widest vectors that this build may use, and as many chains
// of dependent multiply-adds as hide their latency (4 or 5 cycles, on 2 units; of
// Arm's large cores on 4) without running out of registers.
#if defined(__AVX512F__)
constexpr int width = 64, chains = 12;
#elif defined(__AVX__)
constexpr int width = 32, chains = 12;
#elif defined(__aarch64__)
constexpr int width = 16, chains = 24;
#else
constexpr int width = 16, chains = 12;
#endif
constexpr int lanes = width / int(sizeof(float));
typedef float wide __attribute__((vector_size(width)));

// Advances every chain by steps: x = x*m + b. Floating-point rules let the
// compiler shorten none of it; with FMA units it takes one instruction each
// (ISO C++ would forbid that contraction, so the build uses GNU's dialect).
float advance(int64_t steps, float m, float b) {
    wide x[chains];
    for (int c = 0; c < chains; c++) {
        x[c] = wide{} + float(c);
    }
    const wide mul = wide{} + m, add = wide{} + b;
    for (int64_t i = 0; i < steps; i++) {
#pragma GCC unroll 24
        for (int c = 0; c < chains; c++) {
            x[c] = x[c] * mul + add;
        }
    }
    float total = 0;
    for (int c = 0; c < chains; c++) {
        for (int l = 0; l < lanes; l++) {
            total += x[c][l];
        }
    }
    return total;
}

} // namespace

extern "C" int ls_fma_rate(int32_t n_threads, int64_t steps, int32_t passes, int64_t * pass_ns, int64_t * flop, double * checksum, ls_error * err) {
    if (n_threads < 1 || steps < 1 || passes < 1) {
        return ls::fail(err, LS_BAD_ARG, "fma rate", "%d threads, %lld steps, %d passes: want at least 1 of each", n_threads, (long long) steps, passes);
    }
    // The chains run towards b / (1-m) = 1: never infinite, never denormal. The
    // compiler must not know that.
    volatile float       m = 1 - 1.0f / 1024, b = 1.0f / 1024;
    std::atomic<int64_t> sum{0}; // in 1/1024, as threads may only add integers in any order to the same end
    const int rc = ls::timed_passes(
        err, "fma rate", n_threads, passes, pass_ns, [](int) {},
        [&](int) { sum.fetch_add(std::llround(double(advance(steps, m, b)) * 1024), std::memory_order_relaxed); });
    if (rc != LS_OK) {
        return rc;
    }
    *flop     = int64_t(n_threads) * steps * chains * lanes * 2;
    *checksum = double(sum) / 1024 / (double(n_threads) * passes * chains * lanes);
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
