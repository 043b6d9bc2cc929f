// Loading a model, its vocabulary and its facts.
#include "common.h"
#include "device.h"

#include <cstdlib>
#include <type_traits>

namespace {

// Newer llama.cpp replaced the flag use_mmap by the enum load_mode. Both ages are
// served by asking the struct, not by a version number that either might change.
template <typename P>
auto set_mmap(P & params, bool on, int) -> decltype(params.use_mmap, void()) {
    params.use_mmap = on;
}
template <typename P>
auto set_mmap(P & params, bool on, long) -> decltype(params.load_mode, void()) {
    using mode = std::remove_reference_t<decltype(params.load_mode)>;
    params.load_mode = static_cast<mode>(on ? 1 : 0); // LLAMA_LOAD_MODE_MMAP, LLAMA_LOAD_MODE_NONE
}

// Reckoning without allocating came to llama.cpp in late 2025.
template <typename P>
auto set_no_alloc(P & params, int) -> decltype(params.no_alloc, bool()) {
    params.no_alloc = true;
    return true;
}
template <typename P>
bool set_no_alloc(P &, long) {
    return false;
}

// Newer llama.cpp counts the layers that predict further tokens apart. Found by the argument's namespace, the global one.
template <typename M>
auto prediction_layers(const M * model, int) -> decltype(llama_model_n_layer_nextn(model)) {
    return llama_model_n_layer_nextn(model);
}
template <typename M>
int32_t prediction_layers(const M *, long) {
    return 0;
}

struct progress_call {
    ls_progress_fn fn;
    uintptr_t      user;
    bool           aborted;
};

bool on_progress(float progress, void * data) {
    auto * call = static_cast<progress_call *>(data);
    if (call->fn && !call->fn(progress, call->user)) {
        call->aborted = true;
        return false;
    }
    return true;
}

} // namespace

extern "C" bool ls_has_gpu(void) { return ls::gpu_device() != nullptr; }

extern "C" void ls_disable_cuda_graphs(void) { setenv("GGML_CUDA_DISABLE_GRAPHS", "1", 1); }

extern "C" int ls_model_load(const char * path, ls_model_params params, ls_progress_fn progress, uintptr_t user,
                             ls_model ** out, ls_error * err) {
    *out = nullptr;
    progress_call call{progress, user, false};

    llama_model_params mp = llama_model_default_params();
    // One device or none: whatever else is in the machine must not take part unasked.
    ggml_backend_dev_t devices[] = {params.gpu ? ls::gpu_device() : nullptr, nullptr};
    if (params.gpu && !devices[0]) {
        return ls::fail(err, LS_FAILED, "load", "there is no GPU that this build can compute on");
    }
    mp.devices                     = devices;
    mp.n_gpu_layers                = params.gpu ? params.n_gpu_layers : 0;
    mp.vocab_only                  = params.vocab_only;
    mp.progress_callback           = on_progress;
    mp.progress_callback_user_data = &call;
    // Nothing may be mapped where nothing is to be allocated: llama.cpp aborts on it.
    set_mmap(mp, params.use_mmap && !params.no_alloc, 0);
    if (params.no_alloc && !set_no_alloc(mp, 0)) {
        return ls::fail(err, LS_BAD_ARG, "load", "this llama.cpp cannot load a model without allocating its weights");
    }

    llama_model * model = nullptr;
    const int rc = ls::guarded(err, "load", [&] {
        model = llama_model_load_from_file(path, mp);
        return int(LS_OK);
    });
    if (rc != LS_OK) {
        return rc;
    }
    if (!model) {
        return call.aborted ? ls::fail(err, LS_ABORTED, "load", "aborted")
                            : ls::fail(err, LS_FAILED, "load", "llama.cpp could not load the file");
    }
    if (!params.vocab_only && (!llama_model_has_decoder(model) || llama_model_has_encoder(model))) {
        llama_model_free(model);
        return ls::fail(err, LS_BAD_ARG, "load", "not a decoder-only model: there is no prefill and KV-cached decode to time");
    }
    const int32_t n_layer = llama_model_n_layer(model) + prediction_layers(model, 0);
    *out = new ls_model{model, llama_model_get_vocab(model), mp.n_gpu_layers > n_layer};
    return LS_OK;
}

extern "C" void ls_model_free(ls_model * model) {
    if (model) {
        llama_model_free(model->model);
        delete model;
    }
}

extern "C" void ls_model_get_info(const ls_model * model, ls_model_info * out) {
    const llama_model * m = model->model;
    *out             = {};
    out->n_params    = int64_t(llama_model_n_params(m));
    out->size_bytes  = int64_t(llama_model_size(m));
    out->n_vocab     = llama_vocab_n_tokens(model->vocab);
    out->n_ctx_train = llama_model_n_ctx_train(m);
    out->n_embd      = llama_model_n_embd(m);
    out->n_layer     = llama_model_n_layer(m) + prediction_layers(m, 0);
    out->n_tensors   = ls::tensor_count(m);
    out->has_encoder = llama_model_has_encoder(m);
    out->has_decoder = llama_model_has_decoder(m);
    llama_model_meta_val_str(m, "general.architecture", out->architecture, sizeof out->architecture);
    out->n_head      = llama_model_n_head(m);
    out->n_head_kv   = llama_model_n_head_kv(m);
    llama_model_desc(m, out->description, sizeof out->description);
}

extern "C" int32_t ls_tokenize(const ls_model * model, const char * text, int32_t len, bool add_special, bool parse_special, int32_t * ids,
                               int32_t cap) {
    // llama.cpp answers "too small" with the negated count.
    const int32_t n = llama_tokenize(model->vocab, text, len, ids, cap, add_special, parse_special);
    return n == INT32_MIN ? -1 : n < 0 ? -n : n;
}

extern "C" int32_t ls_detokenize(const ls_model * model, const int32_t * ids, int32_t n_ids, char * text, int32_t cap) {
    // Piece by piece: llama_detokenize would "clean up" spaces before punctuation
    // for some vocabularies, and the text must be what the tokens say.
    int32_t length = 0;
    for (int32_t i = 0; i < n_ids; i++) {
        const int32_t room = length < cap ? cap - length : 0;
        const int32_t n    = llama_token_to_piece(model->vocab, ids[i], text + (room ? length : 0), room, /*lstrip=*/0, /*special=*/true);
        length += n < 0 ? -n : n;
    }
    return length;
}
