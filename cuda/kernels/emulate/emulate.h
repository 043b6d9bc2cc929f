// Enough of CUDA C++ to compile the kernels for a CPU, so that their indexing,
// dequantisation and reductions can be tested where there is no GPU. It says nothing
// about speed, and no figure ever comes from it.
//
// A block's threads are fibers of one OS thread, run in turn from one barrier to the
// next; blocks run one after another. Stricter than a GPU where that finds bugs:
//   * shared memory holds NaN when a block starts;
//   * an asynchronous copy poisons its destination when it is issued and happens
//     only when it is waited for;
//   * a barrier that not all threads reach, or a shuffle with a lane that is gone,
//     is an error, as are misaligned 16-byte copies.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// One copy of a block's shared memory is enough: blocks do not run side by side.
#define __shared__ static __attribute__((section("ls_shared")))

struct uint3 { unsigned x, y, z; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) float4 { float x, y, z, w; };
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

namespace emulated {

// What a kernel sees of its place.
struct place { uint3 thread, block, block_dim, grid_dim; };
extern place here;

void sync_block();
void sync_warp();
// Shows `mine` to the other lanes of the warp; lane(i) is then lane i's, until done().
void         exchange(const void * mine);
const void * lane(unsigned i);
void         exchange_done();
[[noreturn]] void fail(const char * what);

} // namespace emulated

#define threadIdx (emulated::here.thread)
#define blockIdx  (emulated::here.block)
#define blockDim  (emulated::here.block_dim)
#define gridDim   (emulated::here.grid_dim)

inline void __syncthreads() { emulated::sync_block(); }
inline void __syncwarp() { emulated::sync_warp(); }
inline void __threadfence_system() { __sync_synchronize(); }

template <class T> T __shfl_xor_sync(unsigned mask, T v, int offset) {
    if (mask != 0xffffffffu) {
        emulated::fail("only shuffles of whole warps are emulated");
    }
    emulated::exchange(&v);
    T other;
    memcpy(&other, emulated::lane((threadIdx.x % 32) ^ unsigned(offset)), sizeof(T));
    emulated::exchange_done();
    return other;
}

inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; i++) {
        c += int(int8_t(unsigned(a) >> (8 * i))) * int(int8_t(unsigned(b) >> (8 * i)));
    }
    return c;
}

inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return unsigned(((uint64_t(high) << 32) | low) >> (shift % 32));
}

inline unsigned __float_as_uint(float f) {
    unsigned u;
    memcpy(&u, &f, 4);
    return u;
}

inline float __uint_as_float(unsigned u) {
    float f;
    memcpy(&f, &u, 4);
    return f;
}

inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }

void     emulated_copy16_async(void * shared, const void * global);
void     emulated_copies_commit();
void     emulated_copies_wait(int groups_left);
float    emulated_half_to_float(uint16_t bits);
uint64_t emulated_clock_ns();
// Fragments laid out as the PTX manual says for mma.m16n8k16 with f16 operands.
void     emulated_mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

inline long long clock64() { return (long long) emulated_clock_ns(); }
