// What every kernel needs: loads that say which caches they use, warp reductions,
// the pattern that arrays are filled with. Under LS_EMULATE the same sources are
// compiled for a CPU, where emulate/emulate.h stands in for the GPU (docs/kernels.md).
#pragma once

#include <stdint.h>

#ifdef LS_EMULATE
#include "emulate/emulate.h"
#endif

#define LS_KERNEL extern "C" __global__ void
#define LS_INLINE static __device__ __forceinline__

// Reads past L1, so that a kernel which passes over its array again and again
// meets L2 or DRAM each time. Volatile: a compiler may not merge two passes.
LS_INLINE uint4 load_l2(const uint4 * p) {
#ifdef LS_EMULATE
    return *p;
#else
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
    return v;
#endif
}

LS_INLINE float4 load_l2(const float4 * p) {
#ifdef LS_EMULATE
    return *p;
#else
    float4 v;
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p));
    return v;
#endif
}

// Volatile for the same reason: each pass has to write.
LS_INLINE void store_l2(float4 * p, float4 v) {
#ifdef LS_EMULATE
    *p = v;
#else
    asm volatile("st.global.cg.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(p), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
#endif
}

// Reads weights, which nobody reads twice, without pushing the vector out of L1.
LS_INLINE uint4 load_once(const uint4 * p) {
#ifdef LS_EMULATE
    return *p;
#else
    uint4 v;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
    return v;
#endif
}

// Copies 16 bytes from global to shared memory in the background (sm_80 on).
LS_INLINE void copy16_async(void * shared, const void * global) {
#ifdef LS_EMULATE
    emulated_copy16_async(shared, global);
#else
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((unsigned) __cvta_generic_to_shared(shared)), "l"(global) : "memory");
#endif
}

LS_INLINE void copies_commit() {
#ifdef LS_EMULATE
    emulated_copies_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most N of this thread's groups are still under way.
template <int N> LS_INLINE void copies_wait() {
#ifdef LS_EMULATE
    emulated_copies_wait(N);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

LS_INLINE float half_to_float(uint32_t bits) {
#ifdef LS_EMULATE
    return emulated_half_to_float(uint16_t(bits));
#else
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"((uint16_t) bits));
    return f;
#endif
}

LS_INLINE uint64_t clock_ns() {
#ifdef LS_EMULATE
    return emulated_clock_ns();
#else
    uint64_t t;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
    return t;
#endif
}

LS_INLINE float warp_sum(float v) {
    for (int offset = 16; offset > 0; offset /= 2) {
        v += __shfl_xor_sync(0xffffffffu, v, offset);
    }
    return v;
}

LS_INLINE uint32_t warp_sum(uint32_t v) {
    for (int offset = 16; offset > 0; offset /= 2) {
        v += __shfl_xor_sync(0xffffffffu, v, offset);
    }
    return v;
}

// Sums v over the block and hands the sum to thread 0. Blocks have whole warps.
LS_INLINE uint32_t block_sum(uint32_t v) {
    __shared__ uint32_t of_warp[32];
    v = warp_sum(v);
    if (threadIdx.x % 32 == 0) {
        of_warp[threadIdx.x / 32] = v;
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        v = warp_sum(threadIdx.x < blockDim.x / 32 ? of_warp[threadIdx.x] : 0u);
    }
    return v;
}

// Element number e of an array filled with seed: a whole number below 4096, so
// that b + 3c is exact in f32, and any two places likely differ. The same in Go:
// kernels.Pattern.
LS_INLINE float pattern(uint32_t e, uint32_t seed) {
    uint32_t h = e * 2654435761u + seed;
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    return float(h >> 20);
}

LS_INLINE float4 pattern4(uint64_t i, uint32_t seed) {
    const uint32_t e = uint32_t(i) * 4;
    return make_float4(pattern(e, seed), pattern(e + 1, seed), pattern(e + 2, seed), pattern(e + 3, seed));
}
