// A libcuda.so.1 that has a GPU: as much of the driver API as package cuda calls, with
// emulated kernels behind it. It is there to test the host's half (contexts, modules,
// arguments, streams, events, captures, errors) where there is no GPU. Times are those
// of the emulation and mean nothing.
//
// As on a GPU, a stream is worked off by itself: one thread runs what was queued, in
// order, while the caller goes on. All streams share that queue.
//
// LLMSCALE_EMULATED_FAULT=kernel makes that kernel do nothing, so that tests can see
// a wrong answer found out.
#include "launch.h"

#include <cuda.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <deque>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

constexpr size_t MEMORY_BYTES = size_t(256) << 20;

struct module_data { std::string file; };

struct launch_data {
    const emulated::kernel *                  kernel;
    unsigned                                  grid, block;
    std::vector<std::vector<unsigned char>>   values;
};

struct graph_data { std::vector<launch_data> launches; };

struct event_data {
    bool     done = false;
    uint64_t ns   = 0;
};

// Never destroyed: the worker waits here even when the process ends.
std::mutex &                        lock   = *new std::mutex;
std::condition_variable &           wake   = *new std::condition_variable;
std::condition_variable &           idle   = *new std::condition_variable;
std::deque<std::function<void()>> & queued = *new std::deque<std::function<void()>>;
bool                                busy, started, capturing;
graph_data                          captured;
CUresult                            sticky = CUDA_SUCCESS; // after a kernel failed, as on a GPU, all calls fail
std::map<CUdeviceptr, size_t>       allocations;
size_t                              used;
int                                 contexts;
thread_local CUcontext              current;
char                                context; // its address is the one context's handle

uint64_t now_ns() {
    return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count());
}

void work() {
    std::unique_lock<std::mutex> hold(lock);
    for (;;) {
        wake.wait(hold, [] { return !queued.empty(); });
        std::function<void()> next = queued.front();
        queued.pop_front();
        busy = true;
        hold.unlock();
        next();
        hold.lock();
        busy = false;
        idle.notify_all();
    }
}

void enqueue(std::function<void()> f) {
    std::lock_guard<std::mutex> hold(lock);
    if (!started) {
        started = true;
        std::thread(work).detach();
    }
    queued.push_back(f);
    wake.notify_one();
}

CUresult drain() {
    std::unique_lock<std::mutex> hold(lock);
    idle.wait(hold, [] { return queued.empty() && !busy; });
    return sticky;
}

void run(const launch_data & l) {
    {
        std::lock_guard<std::mutex> hold(lock);
        if (sticky != CUDA_SUCCESS) {
            return;
        }
    }
    const char * fault = getenv("LLMSCALE_EMULATED_FAULT");
    if (fault && strcmp(fault, l.kernel->name) == 0) {
        return;
    }
    std::vector<void *> params;
    for (const std::vector<unsigned char> & v : l.values) {
        params.push_back((void *) v.data());
    }
    try {
        l.kernel->run(l.grid, l.block, params.data());
    } catch (const std::runtime_error & e) {
        fprintf(stderr, "emulated GPU: %s: %s\n", l.kernel->name, e.what());
        std::lock_guard<std::mutex> hold(lock);
        sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
    }
}

// Every call needs the context current on its thread.
bool no_context() { return current == nullptr; }

} // namespace

#define NEED_CONTEXT                          \
    if (no_context()) {                       \
        return CUDA_ERROR_INVALID_CONTEXT;    \
    }

extern "C" {

CUresult cuInit(unsigned) { return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int * v) { *v = CUDA_VERSION; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int * n) { *n = 1; return CUDA_SUCCESS; }

CUresult cuDeviceGet(CUdevice * device, int ordinal) {
    *device = ordinal;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetName(char * name, int n, CUdevice) {
    snprintf(name, size_t(n), "Emulated GPU");
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid * id, CUdevice) {
    memset(id, 0xab, sizeof *id);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t * bytes, CUdevice) {
    *bytes = MEMORY_BYTES;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int * v, CUdevice_attribute a, CUdevice) {
    switch (a) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *v = 9; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *v = 0; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *v = 2; break;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *v = 1000000; break;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *v = 2000000; break;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *v = 64; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *v = 96 * 1024; break;
    case CU_DEVICE_ATTRIBUTE_ECC_ENABLED: *v = 1; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext * c, CUdevice) {
    contexts++;
    *c = reinterpret_cast<CUcontext>(&context);
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice) { return contexts-- > 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT; }

CUresult cuCtxSetCurrent(CUcontext c) {
    current = c;
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
    NEED_CONTEXT
    return drain();
}

CUresult cuMemGetInfo(size_t * free_bytes, size_t * total) {
    NEED_CONTEXT
    *total      = MEMORY_BYTES;
    *free_bytes = MEMORY_BYTES - used;
    return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr * at, size_t bytes) {
    NEED_CONTEXT
    void * p = nullptr;
    if (used + bytes > MEMORY_BYTES || posix_memalign(&p, 256, bytes) != 0) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memset(p, 0xff, bytes); // what a GPU leaves there is as little of use
    *at              = reinterpret_cast<CUdeviceptr>(p);
    allocations[*at] = bytes;
    used += bytes;
    return CUDA_SUCCESS;
}

CUresult cuMemFree(CUdeviceptr at) {
    NEED_CONTEXT
    CUresult r = drain();
    auto     a = allocations.find(at);
    if (a == allocations.end()) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    used -= a->second;
    allocations.erase(a);
    free(reinterpret_cast<void *>(at));
    return r;
}

static bool within(CUdeviceptr at, size_t bytes) {
    auto a = allocations.upper_bound(at);
    return a != allocations.begin() && at + bytes <= (--a)->first + a->second;
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void * from, size_t bytes) {
    NEED_CONTEXT
    CUresult r = drain();
    if (r == CUDA_SUCCESS && !within(to, bytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    memcpy(reinterpret_cast<void *>(to), from, bytes);
    return r;
}

CUresult cuMemcpyDtoH(void * to, CUdeviceptr from, size_t bytes) {
    NEED_CONTEXT
    CUresult r = drain();
    if (r == CUDA_SUCCESS && !within(from, bytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    memcpy(to, reinterpret_cast<void *>(from), bytes);
    return r;
}

CUresult cuMemHostAlloc(void ** p, size_t bytes, unsigned) {
    NEED_CONTEXT
    return posix_memalign(p, 4096, bytes) == 0 ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr * at, void * p, unsigned) {
    *at = reinterpret_cast<CUdeviceptr>(p);
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void * p) {
    NEED_CONTEXT
    CUresult r = drain();
    free(p);
    return r;
}

// The image is what CMake made of a .cu file. It is not read: which file it was shows
// by the first kernel that is asked for, and others must then stand in the same file.
CUresult cuModuleLoadData(CUmodule * m, const void * image) {
    NEED_CONTEXT
    const uint32_t * header = static_cast<const uint32_t *>(image);
    if (header[0] != 0xba55ed50) { // of fat binaries
        return CUDA_ERROR_INVALID_IMAGE;
    }
    *m = reinterpret_cast<CUmodule>(new module_data());
    return CUDA_SUCCESS;
}

CUresult cuModuleUnload(CUmodule m) {
    NEED_CONTEXT
    CUresult r = drain();
    delete reinterpret_cast<module_data *>(m);
    return r;
}

CUresult cuModuleGetFunction(CUfunction * f, CUmodule m, const char * name) {
    NEED_CONTEXT
    module_data * module = reinterpret_cast<module_data *>(m);
    for (const emulated::kernel & k : emulated::kernels()) {
        if (strcmp(k.name, name) == 0 && (module->file.empty() || module->file == k.file)) {
            module->file = k.file;
            *f           = reinterpret_cast<CUfunction>(const_cast<emulated::kernel *>(&k));
            return CUDA_SUCCESS;
        }
    }
    return CUDA_ERROR_NOT_FOUND;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int * n, CUfunction, int block, size_t) {
    *n = block > 512 ? 1 : 2;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream * s, unsigned) {
    NEED_CONTEXT
    *s = reinterpret_cast<CUstream>(new char);
    return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream s) {
    NEED_CONTEXT
    delete reinterpret_cast<char *>(s);
    return drain();
}

CUresult cuStreamSynchronize(CUstream) {
    NEED_CONTEXT
    return drain();
}

CUresult cuEventCreate(CUevent * e, unsigned) {
    NEED_CONTEXT
    *e = reinterpret_cast<CUevent>(new event_data());
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent e) {
    NEED_CONTEXT
    CUresult r = drain();
    delete reinterpret_cast<event_data *>(e);
    return r;
}

CUresult cuEventRecord(CUevent e, CUstream) {
    NEED_CONTEXT
    event_data * event = reinterpret_cast<event_data *>(e);
    {
        std::lock_guard<std::mutex> hold(lock);
        event->done = false;
    }
    enqueue([event] {
        std::lock_guard<std::mutex> hold(lock);
        event->ns   = now_ns();
        event->done = true;
    });
    return CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent e) {
    std::unique_lock<std::mutex> hold(lock);
    idle.wait(hold, [e] { return reinterpret_cast<event_data *>(e)->done; });
    return sticky;
}

CUresult cuEventElapsedTime(float * ms, CUevent start, CUevent end) {
    std::lock_guard<std::mutex> hold(lock);
    const event_data &          a = *reinterpret_cast<event_data *>(start), &b = *reinterpret_cast<event_data *>(end);
    if (!a.done || !b.done) {
        return CUDA_ERROR_NOT_READY;
    }
    *ms = float(double(b.ns - a.ns) * 1e-6);
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction f, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                        unsigned block_z, unsigned, CUstream, void ** params, void ** extra) {
    NEED_CONTEXT
    if (grid_x == 0 || grid_y != 1 || grid_z != 1 || block_x == 0 || block_x > 1024 || block_y != 1 || block_z != 1 || extra) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    launch_data l = { reinterpret_cast<const emulated::kernel *>(f), grid_x, block_x, {} };
    for (size_t i = 0; i < l.kernel->parameter_bytes.size(); i++) {
        const unsigned char * p = static_cast<const unsigned char *>(params[i]);
        l.values.emplace_back(p, p + l.kernel->parameter_bytes[i]);
    }
    if (capturing) {
        captured.launches.push_back(l);
    } else {
        enqueue([l] { run(l); });
        if (getenv("LLMSCALE_EMULATED_SERIAL")) {
            return drain();
        }
    }
    return sticky;
}

CUresult cuStreamBeginCapture(CUstream, CUstreamCaptureMode) {
    NEED_CONTEXT
    capturing = true;
    captured  = graph_data();
    return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream, CUgraph * g) {
    NEED_CONTEXT
    if (!capturing) {
        return CUDA_ERROR_ILLEGAL_STATE;
    }
    capturing = false;
    *g        = reinterpret_cast<CUgraph>(new graph_data(captured));
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec * e, CUgraph g, unsigned long long) {
    *e = reinterpret_cast<CUgraphExec>(new graph_data(*reinterpret_cast<graph_data *>(g)));
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec e, CUstream) {
    NEED_CONTEXT
    for (const launch_data & l : reinterpret_cast<graph_data *>(e)->launches) {
        enqueue([l] { run(l); });
    }
    return sticky;
}

CUresult cuGraphDestroy(CUgraph g) {
    delete reinterpret_cast<graph_data *>(g);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec e) {
    CUresult r = drain();
    delete reinterpret_cast<graph_data *>(e);
    return r;
}

CUresult cuGetErrorName(CUresult r, const char ** name) {
    *name = r == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR";
    return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult r, const char ** text) {
    *text = r == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "an error of the emulated GPU";
    return CUDA_SUCCESS;
}

} // extern "C"
