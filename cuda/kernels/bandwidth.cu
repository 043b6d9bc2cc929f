// Read, write, copy and triad of f32 arrays: how fast memory and L2 can go.
//
// One block handles chunks of blockDim x UNROLL vectors of 16 bytes; each thread
// has UNROLL loads in flight before the first use. The grid is the caller's choice,
// from one wave of blocks that stride over the array to a block for each chunk.
// `repeats` passes run inside one launch, so that a set that fits L2 is timed
// without the cost of starting a kernel for each pass; between passes over the
// same elements no thread needs another's result.
//
// n counts vectors of 16 bytes and may be anything; pointers are 16-byte aligned.
#include "device.cuh"

constexpr int READ_UNROLL = 8;
constexpr int UNROLL      = 4; // with two or three streams there are as many loads in flight

// Sums the 32-bit words, modulo 2^32 and so in any order; sums[block] is a block's.
LS_KERNEL ls_read(const uint4 * __restrict__ src, uint64_t n, uint32_t repeats, uint32_t * __restrict__ sums) {
    const uint64_t chunk = uint64_t(blockDim.x) * READ_UNROLL;
    uint32_t       sum   = 0;
    for (uint32_t r = 0; r < repeats; r++) {
        for (uint64_t start = blockIdx.x * chunk; start < n; start += gridDim.x * chunk) {
            const uint4 * p = src + start + threadIdx.x;
            if (start + chunk <= n) {
                uint4 v[READ_UNROLL];
#pragma unroll
                for (int u = 0; u < READ_UNROLL; u++) {
                    v[u] = load_l2(p + u * blockDim.x);
                }
#pragma unroll
                for (int u = 0; u < READ_UNROLL; u++) {
                    sum += v[u].x + v[u].y + v[u].z + v[u].w;
                }
            } else {
                for (uint64_t i = start + threadIdx.x; i < n; i += blockDim.x, p += blockDim.x) {
                    const uint4 v = load_l2(p);
                    sum += v.x + v.y + v.z + v.w;
                }
            }
        }
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = sum;
    }
}

// Writes value, value+1, value+2, value+3 over and over.
LS_KERNEL ls_write(float4 * __restrict__ dst, uint64_t n, uint32_t repeats, float value) {
    const uint64_t chunk = uint64_t(blockDim.x) * UNROLL;
    const float4   v     = make_float4(value, value + 1, value + 2, value + 3);
    for (uint32_t r = 0; r < repeats; r++) {
        for (uint64_t start = blockIdx.x * chunk; start < n; start += gridDim.x * chunk) {
            float4 * p = dst + start + threadIdx.x;
            if (start + chunk <= n) {
#pragma unroll
                for (int u = 0; u < UNROLL; u++) {
                    store_l2(p + u * blockDim.x, v);
                }
            } else {
                for (uint64_t i = start + threadIdx.x; i < n; i += blockDim.x, p += blockDim.x) {
                    store_l2(p, v);
                }
            }
        }
    }
}

LS_KERNEL ls_copy(float4 * __restrict__ dst, const float4 * __restrict__ src, uint64_t n, uint32_t repeats) {
    const uint64_t chunk = uint64_t(blockDim.x) * UNROLL;
    for (uint32_t r = 0; r < repeats; r++) {
        for (uint64_t start = blockIdx.x * chunk; start < n; start += gridDim.x * chunk) {
            const uint64_t first = start + threadIdx.x;
            if (start + chunk <= n) {
                float4 v[UNROLL];
#pragma unroll
                for (int u = 0; u < UNROLL; u++) {
                    v[u] = load_l2(src + first + u * blockDim.x);
                }
#pragma unroll
                for (int u = 0; u < UNROLL; u++) {
                    store_l2(dst + first + u * blockDim.x, v[u]);
                }
            } else {
                for (uint64_t i = first; i < n; i += blockDim.x) {
                    store_l2(dst + i, load_l2(src + i));
                }
            }
        }
    }
}

LS_INLINE float4 multiply_add(float s, float4 c, float4 b) {
    return make_float4(fmaf(s, c.x, b.x), fmaf(s, c.y, b.y), fmaf(s, c.z, b.z), fmaf(s, c.w, b.w));
}

// a = b + s*c
LS_KERNEL ls_triad(float4 * __restrict__ a, const float4 * __restrict__ b, const float4 * __restrict__ c, uint64_t n,
                   uint32_t repeats, float s) {
    const uint64_t chunk = uint64_t(blockDim.x) * UNROLL;
    for (uint32_t r = 0; r < repeats; r++) {
        for (uint64_t start = blockIdx.x * chunk; start < n; start += gridDim.x * chunk) {
            const uint64_t first = start + threadIdx.x;
            if (start + chunk <= n) {
                float4 vb[UNROLL], vc[UNROLL];
#pragma unroll
                for (int u = 0; u < UNROLL; u++) {
                    vb[u] = load_l2(b + first + u * blockDim.x);
                    vc[u] = load_l2(c + first + u * blockDim.x);
                }
#pragma unroll
                for (int u = 0; u < UNROLL; u++) {
                    store_l2(a + first + u * blockDim.x, multiply_add(s, vc[u], vb[u]));
                }
            } else {
                for (uint64_t i = first; i < n; i += blockDim.x) {
                    store_l2(a + i, multiply_add(s, load_l2(c + i), load_l2(b + i)));
                }
            }
        }
    }
}

// Fills n vectors with the pattern of seed.
LS_KERNEL ls_fill(float4 * __restrict__ dst, uint64_t n, uint32_t seed) {
    for (uint64_t i = uint64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += uint64_t(gridDim.x) * blockDim.x) {
        dst[i] = pattern4(i, seed);
    }
}

// What ls_read should find in an array filled with seed, without reading it.
LS_KERNEL ls_pattern_sum(uint64_t n, uint32_t seed, uint32_t * __restrict__ sums) {
    uint32_t sum = 0;
    for (uint64_t i = uint64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += uint64_t(gridDim.x) * blockDim.x) {
        const float4 v = pattern4(i, seed);
        sum += __float_as_uint(v.x) + __float_as_uint(v.y) + __float_as_uint(v.z) + __float_as_uint(v.w);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = sum;
    }
}

LS_INLINE uint32_t differing(float4 got, float4 want) {
    return uint32_t(got.x != want.x) + uint32_t(got.y != want.y) + uint32_t(got.z != want.z) + uint32_t(got.w != want.w);
}

// Counts elements of a that are not pattern(seed_b) + s*pattern(seed_c); s = 0 checks a copy.
LS_KERNEL ls_check_triad(const float4 * __restrict__ a, uint64_t n, uint32_t seed_b, uint32_t seed_c, float s,
                         uint32_t * __restrict__ wrong) {
    uint32_t count = 0;
    for (uint64_t i = uint64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += uint64_t(gridDim.x) * blockDim.x) {
        count += differing(a[i], multiply_add(s, pattern4(i, seed_c), pattern4(i, seed_b)));
    }
    count = block_sum(count);
    if (threadIdx.x == 0) {
        wrong[blockIdx.x] = count;
    }
}

// Counts elements that ls_write did not write.
LS_KERNEL ls_check_write(const float4 * __restrict__ dst, uint64_t n, float value, uint32_t * __restrict__ wrong) {
    const float4 want  = make_float4(value, value + 1, value + 2, value + 3);
    uint32_t     count = 0;
    for (uint64_t i = uint64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += uint64_t(gridDim.x) * blockDim.x) {
        count += differing(dst[i], want);
    }
    count = block_sum(count);
    if (threadIdx.x == 0) {
        wrong[blockIdx.x] = count;
    }
}
