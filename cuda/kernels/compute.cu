// Rates of arithmetic on registers, no memory in them: f32 multiply-adds of the
// vector units, and f16 products with f32 sums of the tensor cores.
//
// Operands have full mantissas and differ from warp to warp, because a power-capped
// card clocks higher on zeros; some chains are counters whose result tells exactly
// how often the loop ran, the rest is known to a stated tolerance.
// clocks[0] and [1] get the SM cycles and the nanoseconds that the first block took,
// whose ratio is the SM clock while it ran.
#include "device.cuh"
#include "kernels.h"

// Records the block's time; called by thread 0 of block 0.
LS_INLINE void keep_clocks(uint64_t * clocks, long long cycles_start, uint64_t ns_start) {
    clocks[0] = uint64_t(clock64() - cycles_start);
    clocks[1] = clock_ns() - ns_start;
}

// Each thread runs LS_FMA_CHAINS independent chains v = v*m + c. The first
// LS_FMA_COUNTERS have m = 1 and c = step, a power of two, and start at chain x step:
// each multiply-add adds one step, exactly below 2^24 steps. The others contract to
// c/(1-m). out[LS_FMA_CHAINS x thread + chain] is all that is written.
LS_KERNEL __launch_bounds__(LS_COMPUTE_THREADS)
ls_fma(float * __restrict__ out, uint64_t * __restrict__ clocks, uint32_t iterations, float one, float step, float factor) {
    const uint32_t  thread       = blockIdx.x * blockDim.x + threadIdx.x;
    const long long cycles_start = clock64();
    const uint64_t  ns_start     = clock_ns();
    float           v[LS_FMA_CHAINS], m[LS_FMA_CHAINS], c[LS_FMA_CHAINS];
#pragma unroll
    for (int k = 0; k < LS_FMA_CHAINS; k++) {
        const bool counter = k < LS_FMA_COUNTERS;
        v[k]               = counter ? float(k) * step : 1.0f;
        m[k]               = counter ? one : factor;
        c[k]               = counter ? step : 0.3f + pattern(thread * LS_FMA_CHAINS + k, 1) * 0x1p-13f;
    }
    for (uint32_t i = 0; i < iterations; i++) {
#pragma unroll
        for (int u = 0; u < LS_FMA_UNROLL; u++) {
#pragma unroll
            for (int k = 0; k < LS_FMA_CHAINS; k++) {
                v[k] = fmaf(v[k], m[k], c[k]);
            }
        }
    }
#pragma unroll
    for (int k = 0; k < LS_FMA_CHAINS; k++) {
        out[uint64_t(thread) * LS_FMA_CHAINS + k] = v[k];
    }
    if (thread == 0) {
        keep_clocks(clocks, cycles_start, ns_start);
    }
}

// d += a * b, 16x16 by 16x8 halves, by one warp.
LS_INLINE void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#ifdef LS_EMULATE
    emulated_mma_m16n8k16(d, a, b);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Each warp keeps LS_MMA_TILES accumulators D, each 16x8. An iteration adds A*B and
// then A*C to each, where C = E - B and E is zero but for one entry of each column,
// so that D stays small while A and B have full mantissas, and grows by A*E for each
// iteration: D tells how often the loop ran. a, b and c hold fragments as the
// instruction takes them: a[(warp x 4 + word) x 32 + lane], b and c likewise with
// LS_MMA_TILES x 2 words for a warp; warps of a block share those of other blocks.
// out[((block x warps + warp) x LS_MMA_TILES + tile) x 128 + word x 32 + lane].
LS_KERNEL __launch_bounds__(LS_COMPUTE_THREADS)
ls_mma_f16(const uint32_t * __restrict__ a, const uint32_t * __restrict__ b, const uint32_t * __restrict__ c,
           float * __restrict__ out, uint64_t * __restrict__ clocks, uint32_t iterations) {
    const uint32_t  lane         = threadIdx.x % 32;
    const uint32_t  warp         = threadIdx.x / 32;
    const long long cycles_start = clock64();
    const uint64_t  ns_start     = clock_ns();
    uint32_t        fa[4], fb[LS_MMA_TILES][2], fc[LS_MMA_TILES][2];
    float           d[LS_MMA_TILES][4];
#pragma unroll
    for (int w = 0; w < 4; w++) {
        fa[w] = a[(warp * 4 + w) * 32 + lane];
    }
#pragma unroll
    for (int t = 0; t < LS_MMA_TILES; t++) {
#pragma unroll
        for (int w = 0; w < 2; w++) {
            fb[t][w] = b[((warp * LS_MMA_TILES + t) * 2 + w) * 32 + lane];
            fc[t][w] = c[((warp * LS_MMA_TILES + t) * 2 + w) * 32 + lane];
        }
#pragma unroll
        for (int w = 0; w < 4; w++) {
            d[t][w] = 0;
        }
    }
    for (uint32_t i = 0; i < iterations; i++) {
#pragma unroll
        for (int t = 0; t < LS_MMA_TILES; t++) {
            mma(d[t], fa, fb[t]);
        }
#pragma unroll
        for (int t = 0; t < LS_MMA_TILES; t++) {
            mma(d[t], fa, fc[t]);
        }
    }
    const uint64_t first = (uint64_t(blockIdx.x) * (blockDim.x / 32) + warp) * LS_MMA_TILES;
#pragma unroll
    for (int t = 0; t < LS_MMA_TILES; t++) {
#pragma unroll
        for (int w = 0; w < 4; w++) {
            out[(first + t) * 128 + w * 32 + lane] = d[t][w];
        }
    }
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        keep_clocks(clocks, cycles_start, ns_start);
    }
}
