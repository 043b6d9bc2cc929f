// What a call consists of: its steps, the operations of their graphs, where each is computed and how long it takes.
// The timed phases (measure.cpp) know nothing of this file: a callback is attached for a trace alone.
#include "argmax.h"
#include "context.h"

#include <algorithm>
#include <vector>

struct ls_trace {
    std::vector<ls_trace_step> steps;
    std::vector<ls_trace_op>   ops;
    std::vector<ls_trace_read> reads;
};

namespace {

template <size_t N>
void copy(char (&to)[N], const char * from) {
    snprintf(to, N, "%s", from ? from : "");
}

bool computes(const ggml_tensor * t) {
    switch (t->op) {
        case GGML_OP_NONE:
        case GGML_OP_RESHAPE:
        case GGML_OP_VIEW:
        case GGML_OP_PERMUTE:
        case GGML_OP_TRANSPOSE: return false;
        default:                return !ggml_is_empty(t);
    }
}

bool is_weights(const ggml_tensor * t) {
    const ggml_backend_buffer_t buffer = t->view_src ? t->view_src->buffer : t->buffer;
    return buffer && ggml_backend_buffer_get_usage(buffer) == GGML_BACKEND_BUFFER_USAGE_WEIGHTS;
}

// Bytes of its source i that op reads, if they are weights.
int64_t bytes_read(const ggml_tensor * op, int i) {
    const ggml_tensor * w     = op->src[i];
    const int64_t       whole = int64_t(ggml_nbytes(w));
    if (op->op == GGML_OP_GET_ROWS && i == 0) {
        return std::min(whole, int64_t(ggml_row_size(w->type, w->ne[0])) * ggml_nelements(op->src[1]));
    }
    if ((op->op == GGML_OP_MUL_MAT_ID || op->op == GGML_OP_ADD_ID) && i < 2 && op->src[2]) { // experts, of which some are chosen
        const int64_t chosen = ggml_nelements(op->src[2]);
        const int     axis   = op->op == GGML_OP_MUL_MAT_ID ? 2 : 1;
        return chosen < w->ne[axis] ? whole / w->ne[axis] * chosen : whole;
    }
    return whole;
}

struct Tracer {
    ls_trace *            trace;
    const llama_context * ctx;
    bool                  timed;
    bool                  no_memory = false;

    void note(ggml_tensor * t) {
        ls_trace_op op = {};
        op.step        = int32_t(trace->steps.size()); // the step is added at its end
        copy(op.op, ggml_op_desc(t));
        copy(op.name, t->name);
        // Asked for anew: llama.cpp may have made another scheduler at the beginning of the step.
        if (const ggml_backend_t backend = ggml_backend_sched_get_tensor_backend(ls::scheduler(ctx), t)) {
            const ggml_backend_dev_t device = ggml_backend_get_device(backend);
            copy(op.backend, ggml_backend_name(backend));
            op.cpu = device && ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
        }
        std::copy(t->ne, t->ne + 4, op.ne);
        if (t->op == GGML_OP_MUL_MAT || t->op == GGML_OP_MUL_MAT_ID) {
            op.n_inner = t->src[0]->ne[0];
        }
        int64_t largest = -1;
        for (int i = 0; i < GGML_MAX_SRC; i++) {
            if (!t->src[i] || !is_weights(t->src[i])) {
                continue;
            }
            const ggml_tensor * w     = t->src[i];
            const int64_t       bytes = bytes_read(t, i);
            op.weight_bytes += bytes;
            ls_trace_read read = {};
            read.op            = int64_t(trace->ops.size());
            read.offset        = int64_t(w->view_src ? w->view_offs : 0);
            read.bytes         = bytes;
            read.lookup        = t->op == GGML_OP_GET_ROWS;
            copy(read.name, w->view_src ? w->view_src->name : w->name);
            trace->reads.push_back(read);
            if (bytes > largest) {
                largest = bytes;
                copy(op.weight_type, ggml_type_name(w->type));
            }
        }
        op.output_bytes = int64_t(ggml_nbytes(t));
        trace->ops.push_back(op);
    }

    // The scheduler asks about each node before it computes it (ask), and reports those that it was to compute on
    // their own when they are done.
    static bool callback(ggml_tensor * t, bool ask, void * user) {
        auto & self = *static_cast<Tracer *>(user);
        if (!ask) {
            self.trace->ops.back().end_ns = ls::now_ns();
            return true; // go on
        }
        if (!computes(t) || self.no_memory) {
            return false;
        }
        try {
            self.note(t);
        } catch (...) { // nothing may be thrown through the scheduler
            self.no_memory = true;
            return false;
        }
        if (self.timed) {
            self.trace->ops.back().start_ns = ls::now_ns();
        }
        return self.timed;
    }
};

// Whatever ends a trace, the context goes on without a callback and with an empty cache.
struct Attached {
    ls_context * c;
    explicit Attached(ls_context * c) : c(c) {}
    Attached(const Attached &) = delete;
    ~Attached() {
        ls::set_eval_callback(c->ctx, nullptr, nullptr);
        ls_context_clear(c);
    }
};

int trace(ls_context * c, ls_trace_mode mode, const int32_t * prompt, int32_t n_prompt, int32_t n_gen, ls_trace * out, ls_error * err) {
    if (n_prompt < 1 || n_gen < 0) {
        return ls::fail(err, LS_BAD_ARG, "trace", "a prompt of %d tokens and %d decode steps: want at least 1 and 0", n_prompt, n_gen);
    }
    if (mode == LS_TRACE_PLACEMENT) {
        n_prompt = std::min(n_prompt, int32_t(llama_n_ubatch(c->ctx)));
    }
    if (int64_t(n_prompt) + n_gen > int64_t(llama_n_ctx_seq(c->ctx))) {
        return ls::fail(err, LS_KV_FULL, "trace", "prompt %d + gen %d tokens do not fit a context of %u", n_prompt, n_gen, llama_n_ctx_seq(c->ctx));
    }
    if (const int rc = ls::check_tokens(c, prompt, n_prompt, err, "trace")) {
        return rc;
    }
    ls_context_clear(c);
    llama_synchronize(c->ctx);

    out->steps.reserve(size_t(n_gen) + 1);
    Tracer   tracer = {out, c->ctx, mode == LS_TRACE_TIMED};
    Attached attached(c);
    if (mode != LS_TRACE_STEPS && !ls::set_eval_callback(c->ctx, Tracer::callback, &tracer)) {
        return ls::fail(err, LS_NOT_AVAILABLE, "trace", "this llama.cpp does not let its operations be watched");
    }
    int32_t next = 0;
    for (int32_t i = 0; i <= n_gen; i++) {
        ls_trace_step step = {};
        step.n_tokens      = i == 0 ? n_prompt : 1;
        step.start_ns      = ls::now_ns();
        if (const int rc = ls::append(c, i == 0 ? prompt : &next, step.n_tokens, ls::logits::last)) {
            return ls::decode_failed(err, i == 0 ? "prefill" : "decode", rc);
        }
        llama_synchronize(c->ctx);
        step.end_ns                      = ls::now_ns();
        const ggml_backend_sched_t sched = ls::scheduler(c->ctx);
        step.n_splits                    = sched ? ggml_backend_sched_get_n_splits(sched) : -1;
        next                             = ls::argmax(llama_get_logits_ith(c->ctx, -1), c->n_vocab);
        if (tracer.no_memory) {
            return ls::fail(err, LS_NO_MEMORY, "trace", "not enough memory for the trace");
        }
        out->steps.push_back(step);
    }
    return LS_OK;
}

} // namespace

extern "C" int ls_trace_new(ls_context * c, ls_trace_mode mode, const int32_t * prompt, int32_t n_prompt, int32_t n_gen,
                            ls_trace ** out, ls_error * err) {
    *out = nullptr;
    return ls::guarded(err, "trace", [&] {
        auto *    t  = new ls_trace;
        const int rc = ls::guarded(err, "trace", [&] { return trace(c, mode, prompt, n_prompt, n_gen, t, err); });
        if (rc == LS_OK) {
            *out = t;
        } else {
            delete t;
        }
        return rc;
    });
}

extern "C" void ls_trace_free(ls_trace * t) { delete t; }

extern "C" const ls_trace_step * ls_trace_steps(const ls_trace * t, int32_t * n) {
    *n = int32_t(t->steps.size());
    return t->steps.data();
}

extern "C" const ls_trace_op * ls_trace_ops(const ls_trace * t, int64_t * n) {
    *n = int64_t(t->ops.size());
    return t->ops.data();
}

extern "C" const ls_trace_read * ls_trace_reads(const ls_trace * t, int64_t * n) {
    *n = int64_t(t->reads.size());
    return t->reads.data();
}
