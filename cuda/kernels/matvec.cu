// Matrix-vector products of decode: y = W x, W in ggml's block layouts, one warp
// for each row. The weights are read once and are all that counts; the vector comes
// laid out for the lanes that read it (kernels.go makes it), so that its loads are
// coalesced and stay in L1.
//
// f16: x is f32; 8 weights a lane and load, several loads in flight.
//
// q8_0 and q4_0: x is quantised to 8 bits in blocks of 32, as llama.cpp does before
// its own products, so that a weight costs a quarter of an integer instruction and
// not a conversion. ggml's blocks are 34 and 18 bytes long, so no load wider than 2
// bytes is aligned in them: instead a warp copies 32 pairs of blocks to shared memory
// by 16-byte asynchronous copies, whatever the blocks' borders, several such tiles
// in flight, and each lane works on one pair there. A pair is 17 or 9 words, odd
// numbers, so the 32 lanes meet in 32 different banks.
//
// columns is a multiple of 256, which makes every row start on 16 bytes.
#include "device.cuh"
#include "kernels.h"

constexpr int WARPS      = LS_MATVEC_THREADS / 32; // rows of a block
constexpr int STAGES     = 3;                      // tiles in flight
constexpr int F16_UNROLL = 4;                      // loads in flight

// 8 weights by 8 entries of x, whose first and second four lie 128 floats apart.
LS_INLINE float dot8(uint4 w, const float * x) {
    const float4 a   = *(const float4 *) x;
    const float4 b   = *(const float4 *) (x + 128);
    float        sum = half_to_float(w.x) * a.x;
    sum              = fmaf(half_to_float(w.x >> 16), a.y, sum);
    sum              = fmaf(half_to_float(w.y), a.z, sum);
    sum              = fmaf(half_to_float(w.y >> 16), a.w, sum);
    sum              = fmaf(half_to_float(w.z), b.x, sum);
    sum              = fmaf(half_to_float(w.z >> 16), b.y, sum);
    sum              = fmaf(half_to_float(w.w), b.z, sum);
    return fmaf(half_to_float(w.w >> 16), b.w, sum);
}

LS_KERNEL __launch_bounds__(LS_MATVEC_THREADS) ls_matvec_f16(const uint4 * __restrict__ weights, const float * __restrict__ x,
                                                             float * __restrict__ y, uint32_t rows, uint32_t columns) {
    const uint32_t lane = threadIdx.x % 32;
    const uint32_t row  = blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= rows) {
        return; // a whole warp
    }
    const uint32_t steps = columns / 256; // 32 lanes x 8 weights
    const uint4 *  w     = weights + uint64_t(row) * (columns / 8) + lane;
    const float *  in    = x + lane * 4;
    float          sum   = 0;
    uint32_t       i     = 0;
    for (; i + F16_UNROLL <= steps; i += F16_UNROLL) {
        uint4 v[F16_UNROLL];
#pragma unroll
        for (int u = 0; u < F16_UNROLL; u++) {
            v[u] = load_once(w + (i + u) * 32);
        }
#pragma unroll
        for (int u = 0; u < F16_UNROLL; u++) {
            sum += dot8(v[u], in + (i + u) * 256);
        }
    }
    for (; i < steps; i++) {
        sum += dot8(load_once(w + i * 32), in + i * 256);
    }
    sum = warp_sum(sum);
    if (lane == 0) {
        y[row] = sum;
    }
}

// One lane's pair of blocks by its pair of x blocks. w is the pair's words in shared
// memory; word number j of the lane's x is x[32 * j], as LS_X_* name them.
struct Q8_0 {
    static constexpr int PAIR_WORDS = 17;

    LS_INLINE float dot(const uint32_t * w, const uint32_t * x) {
        int first = 0, second = 0;
#pragma unroll
        for (int k = 0; k < 8; k++) {
            // The first block's weights begin at byte 2, the second's at byte 36.
            first  = __dp4a((int) __funnelshift_r(w[k], w[k + 1], 16), (int) x[32 * (LS_X_FIRST + k)], first);
            second = __dp4a((int) w[9 + k], (int) x[32 * (LS_X_SECOND + k)], second);
        }
        const float d0 = half_to_float(w[0]) * __uint_as_float(x[32 * LS_X_SCALES]);
        const float d1 = half_to_float(w[8] >> 16) * __uint_as_float(x[32 * (LS_X_SCALES + 1)]);
        return fmaf(d0, float(first), d1 * float(second));
    }
};

struct Q4_0 {
    static constexpr int PAIR_WORDS = 9;

    LS_INLINE float dot(const uint32_t * w, const uint32_t * x) {
        int first = 0, second = 0;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            // Low nibbles are a block's weights 0 to 15, high nibbles 16 to 31.
            const uint32_t a = __funnelshift_r(w[k], w[k + 1], 16);
            const uint32_t b = w[5 + k];
            first  = __dp4a((int) (a & 0x0f0f0f0fu), (int) x[32 * (LS_X_FIRST + k)], first);
            first  = __dp4a((int) ((a >> 4) & 0x0f0f0f0fu), (int) x[32 * (LS_X_FIRST + 4 + k)], first);
            second = __dp4a((int) (b & 0x0f0f0f0fu), (int) x[32 * (LS_X_SECOND + k)], second);
            second = __dp4a((int) ((b >> 4) & 0x0f0f0f0fu), (int) x[32 * (LS_X_SECOND + 4 + k)], second);
        }
        // A nibble stands for itself less 8.
        first -= 8 * (int) x[32 * LS_X_SUMS];
        second -= 8 * (int) x[32 * (LS_X_SUMS + 1)];
        const float d0 = half_to_float(w[0]) * __uint_as_float(x[32 * LS_X_SCALES]);
        const float d1 = half_to_float(w[4] >> 16) * __uint_as_float(x[32 * (LS_X_SCALES + 1)]);
        return fmaf(d0, float(first), d1 * float(second));
    }
};

template <class Type>
LS_INLINE void matvec(const char * weights, const uint32_t * x, float * y, uint32_t rows, uint32_t columns) {
    constexpr uint32_t TILE_WORDS = 32 * Type::PAIR_WORDS;
    __shared__ __align__(16) uint32_t tiles[WARPS][STAGES][TILE_WORDS];

    const uint32_t lane = threadIdx.x % 32;
    const uint32_t warp = threadIdx.x / 32;
    const uint32_t row  = blockIdx.x * WARPS + warp;
    if (row >= rows) {
        return; // a whole warp, and warps never wait for each other
    }
    const uint32_t pairs     = columns / 64;
    const uint32_t n_tiles   = (pairs + 31) / 32;
    const uint32_t row_bytes = pairs * Type::PAIR_WORDS * 4;
    const char *   w         = weights + uint64_t(row) * row_bytes;

    auto load = [&](uint32_t tile) {
        const uint32_t start = tile * TILE_WORDS * 4;
        const uint32_t bytes = min(row_bytes - start, TILE_WORDS * 4);
        char *         to    = (char *) tiles[warp][tile % STAGES];
        for (uint32_t i = lane * 16; i < bytes; i += 32 * 16) {
            copy16_async(to + i, w + start + i);
        }
    };

#pragma unroll
    for (uint32_t t = 0; t < STAGES; t++) {
        if (t < n_tiles) {
            load(t);
        }
        copies_commit(); // also an empty group, so that groups count tiles
    }
    float sum = 0;
    for (uint32_t t = 0; t < n_tiles; t++) {
        copies_wait<STAGES - 1>();
        __syncwarp(); // each lane waited for its own copies only
        if (t * 32 + lane < pairs) {
            sum += Type::dot(tiles[warp][t % STAGES] + lane * Type::PAIR_WORDS, x + t * (32 * LS_X_WORDS) + lane);
        }
        __syncwarp(); // before the tile is overwritten
        if (t + STAGES < n_tiles) {
            load(t + STAGES);
        }
        copies_commit();
    }
    sum = warp_sum(sum);
    if (lane == 0) {
        y[row] = sum;
    }
}

LS_KERNEL __launch_bounds__(LS_MATVEC_THREADS) ls_matvec_q8_0(const char * __restrict__ weights, const uint32_t * __restrict__ x,
                                                              float * __restrict__ y, uint32_t rows, uint32_t columns) {
    matvec<Q8_0>(weights, x, y, rows, columns);
}

LS_KERNEL __launch_bounds__(LS_MATVEC_THREADS) ls_matvec_q4_0(const char * __restrict__ weights, const uint32_t * __restrict__ x,
                                                              float * __restrict__ y, uint32_t rows, uint32_t columns) {
    matvec<Q4_0>(weights, x, y, rows, columns);
}
