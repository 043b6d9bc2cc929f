#include "device.h"

ggml_backend_dev_t ls::gpu_device() { return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU); }

#if LS_CUDA

#include <atomic>
#include <cuda_runtime_api.h>

namespace {

std::atomic<int64_t> captures{0};

int cuda_failed(ls_error * err, const char * op, cudaError_t rc) {
    (void) cudaGetLastError(); // reported here: left standing, it would end the process in ggml-cuda's next check
    return ls::fail(err, rc == cudaErrorMemoryAllocation ? LS_NO_MEMORY : LS_FAILED, op, "CUDA: %s (%s)", cudaGetErrorString(rc), cudaGetErrorName(rc));
}

} // namespace

// The linker sends ggml-cuda's calls of these two through here (--wrap in CMakeLists.txt): capturing a graph takes
// longer than running it, and a timed phase that holds one measures something else.
extern "C" {
cudaError_t __real_cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode);
cudaError_t __wrap_cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    captures.fetch_add(1, std::memory_order_relaxed);
    return __real_cudaStreamBeginCapture(stream, mode);
}
}

int64_t ls::graph_captures() { return captures.load(std::memory_order_relaxed); }

int ls::device_clock::prepare(const llama_context * ctx, size_t n, ls_error * err) {
    backend_ = compute_backend(ctx);
    if (!backend_) {
        return LS_OK;
    }
    while (events_.size() < n) {
        cudaEvent_t       event;
        const cudaError_t rc = cudaEventCreate(&event); // with timing, which ggml's own events are without
        if (rc != cudaSuccess) {
            return cuda_failed(err, "device clock", rc);
        }
        events_.push_back(event);
    }
    return LS_OK;
}

void ls::device_clock::put(size_t i) {
    if (!record_event(backend_, events_[i])) {
        backend_ = nullptr; // this llama.cpp has no way in: there are no device times
    }
}

int ls::device_clock::elapsed_ns(size_t from, size_t to, int64_t * ns, ls_error * err) const {
    float             ms = 0;
    const cudaError_t rc = cudaEventElapsedTime(&ms, cudaEvent_t(events_[from]), cudaEvent_t(events_[to]));
    if (rc != cudaSuccess) {
        return cuda_failed(err, "device clock", rc);
    }
    *ns = int64_t(double(ms) * 1e6 + 0.5);
    return LS_OK;
}

ls::device_clock::~device_clock() {
    for (void * event : events_) {
        if (const cudaError_t rc = cudaEventDestroy(cudaEvent_t(event))) {
            // Nobody is left to hand an error to.
            fprintf(stderr, "llmscale: freeing a CUDA event: %s\n", cudaGetErrorString(rc));
        }
    }
}

#else

int64_t ls::graph_captures() { return 0; }

int  ls::device_clock::prepare(const llama_context *, size_t, ls_error *) { return LS_OK; }
void ls::device_clock::put(size_t) {}
int  ls::device_clock::elapsed_ns(size_t, size_t, int64_t *, ls_error * err) const {
    return fail(err, LS_FAILED, "device clock", "this build has no ggml-cuda");
}
ls::device_clock::~device_clock() = default;

#endif
