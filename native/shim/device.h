// The GPU's own clock: CUDA events on the stream that ggml computes on. On a context that computes on the CPU, and
// in a build without ggml-cuda, there is none, and nothing is recorded.
#pragma once

#include "common.h"

#include <vector>

namespace ls {

class device_clock {
  public:
    device_clock() = default;
    ~device_clock();
    device_clock(const device_clock &)             = delete;
    device_clock & operator=(const device_clock &) = delete;

    // Makes sure of n events, outside what is timed; must precede record. Without a GPU it does nothing.
    int prepare(const llama_context * ctx, size_t n, ls_error * err);

    // Whether times were taken of a GPU.
    bool running() const { return backend_ != nullptr; }

    // Puts event i into the stream behind the work that was submitted before. Costs the host about a microsecond.
    void record(size_t i) {
        if (backend_) {
            put(i);
        }
    }

    // Time between two recorded events that have been passed, in ns (CUDA resolves about 500 ns).
    int elapsed_ns(size_t from, size_t to, int64_t * ns, ls_error * err) const;

  private:
    void put(size_t i);

    ggml_backend_t      backend_ = nullptr;
    std::vector<void *> events_; // cudaEvent_t
};

// CUDA graphs captured in this process since its start; 0 without ggml-cuda.
int64_t graph_captures();

// The GPU that models are loaded on: the first one, which CUDA_VISIBLE_DEVICES chooses. nullptr without one.
ggml_backend_dev_t gpu_device();

} // namespace ls
