/* cuda.h for gorgonia.org/cu v0.9.6 on CUDA 13. Its folder comes first in
 * CGO_CFLAGS (as -I), and the toolkit's own cuda.h is taken in by #include_next.
 *
 * CUDA 13 gave five names new signatures that gorgonia.org/cu calls by the old
 * ones. Here the old signatures come back, as functions that call the new ones; this
 * project calls none of the five. With CUDA 12 there is nothing to do. */
#ifndef LLMSCALE_COMPAT_CUDA_H
#define LLMSCALE_COMPAT_CUDA_H

#include_next <cuda.h>

#if CUDA_VERSION >= 13000

/* The macros name the newest version of each function; taken here, before they are
 * undefined below. Zeroed parameters mean an ordinary context. */
static inline CUresult ls_compat_cuCtxCreate(CUcontext * context, unsigned int flags, CUdevice device) {
    CUctxCreateParams params = {0};
    return cuCtxCreate(context, &params, flags, device);
}

/* A device ordinal below 0 meant the host. */
static inline CUmemLocation ls_compat_location(CUdevice device) {
    CUmemLocation location = {0};
    location.type = device < 0 ? CU_MEM_LOCATION_TYPE_HOST : CU_MEM_LOCATION_TYPE_DEVICE;
    location.id   = device < 0 ? 0 : device;
    return location;
}

static inline CUresult ls_compat_cuMemAdvise(CUdeviceptr at, size_t bytes, CUmem_advise advice, CUdevice device) {
    return cuMemAdvise(at, bytes, advice, ls_compat_location(device));
}

static inline CUresult ls_compat_cuMemPrefetchAsync(CUdeviceptr at, size_t bytes, CUdevice device, CUstream stream) {
    return cuMemPrefetchAsync(at, bytes, ls_compat_location(device), 0, stream);
}

static inline CUresult ls_compat_cuGraphAddDependencies(CUgraph graph, const CUgraphNode * from, const CUgraphNode * to, size_t n) {
    return cuGraphAddDependencies(graph, from, to, NULL, n);
}

static inline CUresult ls_compat_cuGraphGetEdges(CUgraph graph, CUgraphNode * from, CUgraphNode * to, size_t * n) {
    return cuGraphGetEdges(graph, from, to, NULL, n);
}

#undef cuCtxCreate
#define cuCtxCreate ls_compat_cuCtxCreate
#undef cuMemAdvise
#define cuMemAdvise ls_compat_cuMemAdvise
#undef cuMemPrefetchAsync
#define cuMemPrefetchAsync ls_compat_cuMemPrefetchAsync
#undef cuGraphAddDependencies
#define cuGraphAddDependencies ls_compat_cuGraphAddDependencies
#undef cuGraphGetEdges
#define cuGraphGetEdges ls_compat_cuGraphGetEdges

#endif
#endif
