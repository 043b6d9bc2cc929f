// Work whose amount is fixed: reading memory, and multiply-adds on registers. The probe's ceilings are made of it, and
// the canary before a call.
#pragma once

#include <cstddef>
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace ls {

// As wide as the widest loads; where these are narrower, the compiler splits it.
typedef uint64_t lanes __attribute__((vector_size(64)));

// Sums n vectors, read as Streams runs side by side; n is a multiple of 8. Eight
// independent sums keep the loads in flight: integer addition takes a cycle and
// needs no leave to be reordered. One run is what a matrix's rows are to decode;
// with several, some memory systems give more, and a ceiling is what they give.
template <int Streams> uint64_t sum(const lanes * p, size_t n) {
    constexpr int step = 8 / Streams; // vectors of each run
    const size_t  run  = n / Streams;
    lanes         s[8] = {};
    for (size_t i = 0; i + step <= run; i += step) {
        for (int r = 0; r < Streams; r++) {
            for (int u = 0; u < step; u++) {
                s[r * step + u] += p[size_t(r) * run + i + size_t(u)];
            }
        }
    }
    uint64_t total = 0;
    for (const lanes & v : s) {
        for (int l = 0; l < 8; l++) {
            total += v[l];
        }
    }
    return total;
}

// Takes memory out of the caches of all cores. 64 bytes are no more than a line on
// any CPU that has the instruction.
#if defined(__SSE2__) || defined(__aarch64__)
constexpr bool can_flush = true;

inline void flush(const char * p, size_t n) {
    for (size_t i = 0; i < n; i += 64) {
#if defined(__SSE2__)
        _mm_clflush(p + i);
#else
        asm volatile("dc civac, %0" ::"r"(p + i) : "memory");
#endif
    }
#if defined(__SSE2__)
    _mm_mfence();
#else
    asm volatile("dsb sy" ::: "memory");
#endif
}
#else
constexpr bool can_flush = false;

inline void flush(const char *, size_t) {}
#endif

// One register of the widest vectors that this build may use, and as many chains
// of dependent multiply-adds as hide their latency (4 or 5 cycles, on 2 units; of
// Arm's large cores on 4) without running out of registers.
#if defined(__AVX512F__)
constexpr int fma_width = 64, fma_chains = 12;
#elif defined(__AVX__)
constexpr int fma_width = 32, fma_chains = 12;
#elif defined(__aarch64__)
constexpr int fma_width = 16, fma_chains = 24;
#else
constexpr int fma_width = 16, fma_chains = 12;
#endif
constexpr int fma_lanes = fma_width / int(sizeof(float));

// Advances every chain by steps: x = x*m + b. Floating-point rules let the
// compiler shorten none of it; with FMA units it takes one instruction each
// (ISO C++ would forbid that contraction, so the build uses GNU's dialect).
// With m = 1 - b, which the compiler must not know, the chains run towards 1:
// never infinite, never denormal. Returns the sum of their fma_chains * fma_lanes values.
inline float advance(int64_t steps, float m, float b) {
    typedef float wide __attribute__((vector_size(fma_width)));
    wide x[fma_chains];
    for (int c = 0; c < fma_chains; c++) {
        x[c] = wide{} + float(c);
    }
    const wide mul = wide{} + m, add = wide{} + b;
    for (int64_t i = 0; i < steps; i++) {
#pragma GCC unroll 24
        for (int c = 0; c < fma_chains; c++) {
            x[c] = x[c] * mul + add;
        }
    }
    float total = 0;
    for (int c = 0; c < fma_chains; c++) {
        for (int l = 0; l < fma_lanes; l++) {
            total += x[c][l];
        }
    }
    return total;
}

} // namespace ls
