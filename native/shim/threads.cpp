// Which threads compute.
#include "context.h"

#include <algorithm>
#include <mutex>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

struct roll_call {
    std::mutex           mutex;
    std::vector<int32_t> tids; // by the thread's index in the team
};

// Each thread of the team comes here once.
void answer(ggml_tensor *, const ggml_tensor *, int index, int, void * data) {
    auto *                            roll = static_cast<roll_call *>(data);
    const std::lock_guard<std::mutex> lock(roll->mutex);
    roll->tids.resize(std::max(roll->tids.size(), size_t(index) + 1));
    roll->tids[size_t(index)] = int32_t(syscall(SYS_gettid));
}

} // namespace

int ls::on_team(ggml_threadpool * pool, int32_t n_threads, team_work work, void * data, ls_error * err) {
    std::vector<uint8_t> memory(ggml_tensor_overhead() * 8 + ggml_graph_overhead());
    ggml_init_params     params{memory.size(), memory.data(), /*no_alloc=*/false};
    ggml_context *       ctx = ggml_init(params);
    if (!ctx) {
        return fail(err, LS_NO_MEMORY, "threads", "not enough memory");
    }
    ggml_tensor * x     = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, 1);
    ggml_cgraph * graph = ggml_new_graph(ctx);
    ggml_build_forward_expand(graph, ggml_map_custom1(ctx, x, work, GGML_N_TASKS_MAX, data));
    ggml_cplan           plan = ggml_graph_plan(graph, n_threads, pool);
    std::vector<uint8_t> scratch(plan.work_size);
    plan.work_data           = scratch.data();
    const ggml_status status = ggml_graph_compute(graph, &plan);
    ggml_free(ctx);
    if (status != GGML_STATUS_SUCCESS) {
        return fail(err, LS_FAILED, "threads", "ggml could not compute a graph of one operation: %s", ggml_status_to_string(status));
    }
    return LS_OK;
}

extern "C" int ls_context_team(ls_context * c, bool batch, int32_t * tids, int32_t cap, int32_t * n, ls_error * err) {
    return ls::guarded(err, "threads", [&] {
        const int32_t n_threads = batch ? llama_n_threads_batch(c->ctx) : llama_n_threads(c->ctx);
        roll_call     roll;
        if (const int rc = ls::on_team(batch ? c->pool_batch : c->pool, n_threads, answer, &roll, err)) {
            return rc;
        }
        *n = int32_t(roll.tids.size());
        std::copy_n(roll.tids.begin(), std::min(*n, cap), tids);
        return int(LS_OK);
    });
}
