// Which threads compute, and on which processors.
// SPDX-License-Identifier: MIT
#include "context.h"

#include <cstdlib>
#include <mutex>
#include <sched.h>
#include <vector>

namespace {

constexpr int most_cpus = 1 << 13; // NR_CPUS of the largest kernels

// The processors of several threads together. cpu_set_t itself ends at 1024.
class cpu_union {
  public:
    cpu_union() : set_(CPU_ALLOC(most_cpus)), one_(CPU_ALLOC(most_cpus)) {
        if (!set_ || !one_) {
            CPU_FREE(set_);
            CPU_FREE(one_);
            throw std::bad_alloc();
        }
        CPU_ZERO_S(size_, set_);
    }
    ~cpu_union() {
        CPU_FREE(set_);
        CPU_FREE(one_);
    }
    cpu_union(const cpu_union &)             = delete;
    cpu_union & operator=(const cpu_union &) = delete;

    void add_calling_thread() {
        CPU_ZERO_S(size_, one_);
        if (sched_getaffinity(0, size_, one_) == 0) {
            CPU_OR_S(size_, set_, set_, one_);
        }
    }
    int count() const { return CPU_COUNT_S(size_, set_); }

  private:
    const size_t size_ = CPU_ALLOC_SIZE(most_cpus);
    cpu_set_t *  set_;
    cpu_set_t *  one_;
};

struct roll_call {
    std::mutex mutex;
    int        threads = 0;
    cpu_union  cpus;
};

// The operation of the graph below: each thread of the team that computes it comes here once.
void answer(ggml_tensor *, const ggml_tensor *, int, int, void * data) {
    auto *                            roll = static_cast<roll_call *>(data);
    const std::lock_guard<std::mutex> lock(roll->mutex);
    roll->threads++;
    roll->cpus.add_calling_thread();
}

// Has ggml compute a graph of one operation as it computes the context's: by the same number of threads, from the same
// pool. How many come is the runtime's answer, whatever limits it (OMP_THREAD_LIMIT, OMP_DYNAMIC, ggml's own).
int call_roll(ggml_threadpool * pool, int32_t n_threads, ls_team * out, ls_error * err) {
    std::vector<uint8_t> memory(ggml_tensor_overhead() * 8 + ggml_graph_overhead());
    ggml_init_params     params{memory.size(), memory.data(), /*no_alloc=*/false};
    ggml_context *       ctx = ggml_init(params);
    if (!ctx) {
        return ls::fail(err, LS_NO_MEMORY, "threads", "not enough memory");
    }
    roll_call     roll;
    ggml_tensor * x     = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, 1);
    ggml_cgraph * graph = ggml_new_graph(ctx);
    ggml_build_forward_expand(graph, ggml_map_custom1(ctx, x, answer, GGML_N_TASKS_MAX, &roll));
    ggml_cplan           plan = ggml_graph_plan(graph, n_threads, pool);
    std::vector<uint8_t> work(plan.work_size);
    plan.work_data           = work.data();
    const ggml_status status = ggml_graph_compute(graph, &plan);
    ggml_free(ctx);
    if (status != GGML_STATUS_SUCCESS) {
        return ls::fail(err, LS_FAILED, "threads", "ggml could not compute a graph of one operation: %s", ggml_status_to_string(status));
    }
    out->n_threads = roll.threads;
    out->n_cpus    = roll.cpus.count();
    return LS_OK;
}

} // namespace

extern "C" int ls_context_team(ls_context * c, bool batch, ls_team * out, ls_error * err) {
    return ls::guarded(err, "threads", [&] {
        const int32_t n = batch ? llama_n_threads_batch(c->ctx) : llama_n_threads(c->ctx);
        return call_roll(batch ? c->pool_batch : c->pool, n, out, err);
    });
}
