// The one file that may look behind llama.cpp's stable C API. What it asks for has no place in llama.h, and moves
// between versions, here llama.cpp 0c1e57098 (newest) and ec98e2002 (Ollama): CMake tries which of the forms below
// compiles against the sources at hand and sets LS_BREAKDOWN, LS_SCHED, LS_EVENTS and LS_ACCOUNT to it. Without any of
// them the program builds all the same and the answers are "not available".
//
//   LS_BREAKDOWN, what llama.cpp allocated
//   1  a C++ function declared in src/llama-ext.h   (newest)
//   2  a member of llama_context, src/llama-context.h  (Ollama)
//
//   LS_SCHED, the context's scheduler and its parameters
//   1  members of llama_context, src/llama-context.h  (both)
//
//   LS_EVENTS, events of one's own on a backend's stream
//   1  the members of ggml_backend_event, ggml/src/ggml-backend-impl.h  (both)
//
//   LS_ACCOUNT, the tensors of a model, and what a context's graph ends in
//   1  a function of src/llama-model.h, members of llama_context and of the graph's result, src/llama-graph.h  (both)
//
#include "common.h"

#ifndef LS_BREAKDOWN
#define LS_BREAKDOWN 0
#endif
#ifndef LS_SCHED
#define LS_SCHED 0
#endif

#ifndef LS_EVENTS
#define LS_EVENTS 0
#endif

#ifndef LS_ACCOUNT
#define LS_ACCOUNT 0
#endif

#if LS_SCHED == 1 || LS_ACCOUNT == 1
#include "llama-context.h"
#endif
#if LS_ACCOUNT == 1
#include "llama-graph.h"
#include "llama-model.h"
#include <set>
#endif
#if LS_EVENTS == 1
#include "ggml-backend-impl.h"
#endif

#if LS_BREAKDOWN == 1
#include "llama-ext.h"
namespace {
auto breakdown(const llama_context * ctx) { return llama_get_memory_breakdown(ctx); }
} // namespace
#elif LS_BREAKDOWN == 2
#include "llama-context.h"
namespace {
auto breakdown(const llama_context * ctx) { return ctx->memory_breakdown(); }
} // namespace
#endif

int32_t ls::memory_breakdown([[maybe_unused]] const llama_context * ctx, [[maybe_unused]] ls_memory * out, [[maybe_unused]] int32_t cap) {
#if LS_BREAKDOWN
    int32_t n = 0;
    for (const auto & [buft, bytes] : breakdown(ctx)) {
        if (n < cap) {
            ls_memory & m = out[n];
            m             = {};
            snprintf(m.buffer_type, sizeof m.buffer_type, "%s", ggml_backend_buft_name(buft));
            m.host          = ggml_backend_buft_is_host(buft);
            m.model_bytes   = int64_t(bytes.model);
            m.context_bytes = int64_t(bytes.context);
            m.compute_bytes = int64_t(bytes.compute);
        }
        n++;
    }
    return n;
#else
    return -1;
#endif
}

ggml_backend_sched_t ls::scheduler([[maybe_unused]] const llama_context * ctx) {
#if LS_SCHED
    return ctx->get_sched();
#else
    return nullptr;
#endif
}

ggml_backend_t ls::compute_backend(const llama_context * ctx) {
    ggml_backend_sched_t sched = scheduler(ctx);
    for (int i = 0; sched && i < ggml_backend_sched_get_n_backends(sched); i++) {
        ggml_backend_t     backend = ggml_backend_sched_get_backend(sched, i);
        ggml_backend_dev_t device  = ggml_backend_get_device(backend);
        if (device && ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_GPU) {
            return backend;
        }
    }
    return nullptr;
}

bool ls::record_event([[maybe_unused]] ggml_backend_t backend, [[maybe_unused]] void * event) {
#if LS_EVENTS
    // ggml's own events are made without timing. Handing it one that has it is all there is to getting it into the
    // stream that ggml computes on, without a look at how ggml-cuda keeps its streams.
    ggml_backend_event wrapped{ggml_backend_get_device(backend), event};
    ggml_backend_event_record(&wrapped, backend);
    return true;
#else
    return false;
#endif
}

bool ls::set_eval_callback([[maybe_unused]] llama_context * ctx, [[maybe_unused]] ggml_backend_sched_eval_callback callback,
                           [[maybe_unused]] void * user) {
#if LS_SCHED
    // In two places: for each graph that it builds, llama.cpp gives the scheduler what the parameters hold; where it
    // takes the previous graph again, it leaves the scheduler as it is.
    auto & params            = const_cast<llama_cparams &>(ctx->get_cparams());
    params.cb_eval           = callback;
    params.cb_eval_user_data = user;
    if (ggml_backend_sched_t sched = ctx->get_sched()) {
        ggml_backend_sched_set_eval_callback(sched, callback, user);
    }
    return true;
#else
    return false;
#endif
}

int32_t ls::tensor_count([[maybe_unused]] const llama_model * model) {
#if LS_ACCOUNT
    std::set<std::string> names; // one that several buffers have a copy of is listed for each
    for (const auto & [name, tensor] : llama_internal_get_tensor_map(model)) {
        names.insert(name);
    }
    return int32_t(names.size());
#else
    return -1;
#endif
}

int32_t ls::is_causal([[maybe_unused]] const llama_context * ctx) {
#if LS_ACCOUNT
    return ctx->get_cparams().causal_attn;
#else
    return -1;
#endif
}

int32_t ls::has_logits([[maybe_unused]] const llama_context * ctx) {
#if LS_ACCOUNT
    // The graph that the context built to reckon its buffers; contexts without a memory may have built none.
    llm_graph_result * graph = ctx->get_gf_res_reserve();
    return graph ? graph->get_logits() != nullptr : -1;
#else
    return -1;
#endif
}
