// Kernels that make timing honest: one that holds the stream back while the host
// queues work, and one that pushes everything out of L2.
#include "device.cuh"

// Spins until the host sets *release, so that what is queued behind it starts with
// its launch latency already paid and events see the GPU's work alone. *release and
// *timed_out are mapped host memory. A host that cannot get on before the stream
// does (a full queue, a lazily loaded kernel) would wait for ever: after timeout_ns
// the kernel ends by itself and says so, and the sample is thrown away.
LS_KERNEL ls_block(const volatile uint32_t * release, volatile uint32_t * timed_out, uint64_t timeout_ns) {
    const uint64_t start = clock_ns();
    while (*release == 0) {
        if (clock_ns() - start > timeout_ns) {
            *timed_out = 1;
            __threadfence_system();
            return;
        }
    }
}

// Reads n vectors of a buffer several times as large as L2. Reading leaves clean
// lines behind: a buffer that was written instead would be written back while the
// next kernel is timed.
LS_KERNEL ls_flush(const uint4 * __restrict__ src, uint64_t n, uint32_t * __restrict__ sums) {
    uint32_t sum = 0;
    for (uint64_t i = uint64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += uint64_t(gridDim.x) * blockDim.x) {
        const uint4 v = load_l2(src + i);
        sum += v.x + v.y + v.z + v.w;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = sum;
    }
}
