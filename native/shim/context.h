// What a context is, for the shim's sources that work on one; not part of the C door.
#pragma once

#include "common.h"
#include "device.h"

#include "ggml-cpu.h"

#include <cstdlib>
#include <memory>
#include <vector>

namespace ls {

struct free_memory {
    void operator()(void * p) const { std::free(p); }
};
using canary_memory = std::unique_ptr<char, free_memory>;

// The tokens that precede a call, so that the calls of one depth need them computed but once.
struct past {
    std::vector<int32_t>              ids;       // of n_seq sequences, one behind the other
    int32_t                           n_seq = 0; // 0: there are none
    std::vector<std::vector<uint8_t>> states;    // of each sequence after them, where a memory cannot step back
};

} // namespace ls

struct ls_context {
    llama_context * ctx   = nullptr;
    ls_model *      model = nullptr;
    // The pool outlives single calls: without one attached, ggml sets up and
    // tears down a pool for every graph, that is for every token.
    ggml_threadpool * pool       = nullptr;
    ggml_threadpool * pool_batch = nullptr;
    llama_batch       batch      = {};
    int32_t           n_vocab    = 0;
    int32_t           n_batch    = 0;
    int32_t           n_seq      = 0; // sequences that it can hold
    int32_t           n_past     = 0; // tokens of each sequence in use: all are of one length
    ls::device_clock  clock;
    ls::past          past;
    ls::canary_memory canary; // what the canary reads
};

namespace ls {

// Which logits llama.cpp is asked for.
enum class logits { last, all };

// Decodes n tokens of each of n_seq sequences, ids[s * n .. (s + 1) * n) at the end of sequence s, in batches of n_batch,
// one sequence behind the other. After each llama_decode, which it does not wait for, it calls decoded(begin, end) with the range of ids
// that went through: the logits of ids[i] are then llama_get_logits_ith's i - begin. Returns llama_decode's code.
template <typename F>
int append(ls_context * c, const int32_t * ids, int32_t n_seq, int32_t n, logits wanted, F && decoded) {
    const int64_t total = int64_t(n_seq) * n;
    llama_batch & b     = c->batch;
    for (int64_t begin = 0; begin < total; begin += c->n_batch) {
        const int64_t end = begin + c->n_batch < total ? begin + c->n_batch : total;
        for (int64_t t = begin; t < end; t++) {
            const int64_t i = t - begin;
            b.token[i]      = ids[t];
            b.pos[i]        = c->n_past + int32_t(t % n);
            b.n_seq_id[i]   = 1;
            b.seq_id[i][0]  = llama_seq_id(t / n);
            b.logits[i]     = wanted == logits::all || t % n == n - 1;
        }
        b.n_tokens = int32_t(end - begin);
        if (const int rc = llama_decode(c->ctx, b)) {
            return rc;
        }
        decoded(begin, end);
    }
    c->n_past += n;
    return 0;
}

// The same of the first sequence alone.
inline int append(ls_context * c, const int32_t * ids, int32_t n, logits wanted) {
    return append(c, ids, 1, n, wanted, [](int64_t, int64_t) {});
}

// Brings each of the first n_seq sequences to its first `depth` tokens, ids[s * depth .. (s + 1) * depth), and the others
// to nothing. What the context still holds of them is not computed again; *filled: all of it was.
int rewind(ls_context * c, const int32_t * ids, int32_t n_seq, int32_t depth, bool * filled, ls_error * err);

// Refuses sequences that do not end at position n_past - 1.
int check_positions(const ls_context * c, int32_t n_seq, ls_error * err);

// Refuses token ids outside the vocabulary.
int check_tokens(const ls_context * c, const int32_t * tokens, int64_t n, ls_error * err, const char * op);

// What one thread of a team does: thread `index` of n.
using team_work = void (*)(ggml_tensor *, const ggml_tensor *, int index, int n, void * data);

// Has ggml compute a graph of one operation, work, as it computes the context's: by the same number of threads, from the
// same pool. How many come is the runtime's answer, whatever limits it (OMP_THREAD_LIMIT, OMP_DYNAMIC, ggml's own).
int on_team(ggml_threadpool * pool, int32_t n_threads, team_work work, void * data, ls_error * err);

// The canary's times of one call, ns; 0: not measured. sync_ns is that of one meeting.
struct canary_times {
    int64_t read_ns, compute_ns;
    double  sync_ns;
};

// Does a fixed piece of work on the threads that will compute the call, and times it: what the machine does to known
// work right before it. n_tokens are computed at once.
int canary(ls_context * c, int64_t n_tokens, canary_times * out, ls_error * err);

// Turns llama_decode's code into an error.
int decode_failed(ls_error * err, const char * op, int rc);

} // namespace ls
