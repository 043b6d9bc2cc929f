// Whether a batch gives the logits that its tokens give one by one, and its sequences alone. Never part of a measurement.
#include "argmax.h"
#include "context.h"

#include <cstring>
#include <vector>

namespace {

void last_logits(ls_context * c, float * out) {
    llama_synchronize(c->ctx);
    std::memcpy(out, llama_get_logits_ith(c->ctx, -1), size_t(c->n_vocab) * sizeof(float));
}

// Steps come first: what they take says for how many tokens there is time.
int both_ways(ls_context * c, const ls_check & check, int32_t * n_done, ls_error * err) {
    const int64_t start = ls::now_ns();
    ls_context_clear(c);
    int32_t done = 0;
    while (done < check.n && (done == 0 || ls::now_ns() - start < check.budget_ns)) {
        if (const int rc = ls::append(c, check.steps + done, 1, ls::logits::last)) {
            return ls::decode_failed(err, "self-check", rc);
        }
        llama_synchronize(c->ctx);
        done++;
    }
    last_logits(c, check.step_logits);
    *n_done = done;
    if (done < 2) { // a batch of one token is a step
        return LS_OK;
    }
    ls_context_clear(c);
    if (const int rc = ls::append(c, check.batch, done, ls::logits::last)) {
        return ls::decode_failed(err, "self-check", rc);
    }
    last_logits(c, check.batch_logits);
    return LS_OK;
}

// After each step the token that each sequence would choose; after the last one the logits of some sequences.
int answer(ls_context * c, const ls_question & q, ls_error * err) {
    ls_context_clear(c);
    const int64_t        n = int64_t(q.n_prompt) + q.n_steps;
    std::vector<int32_t> prompts, column(static_cast<size_t>(q.n_seq));
    for (int32_t s = 0; s < q.n_seq; s++) {
        prompts.insert(prompts.end(), q.ids + s * n, q.ids + s * n + q.n_prompt);
    }
    const auto decode = [&](const std::vector<int32_t> & tokens, int32_t each) {
        return ls::append(c, tokens.data(), q.n_seq, each, ls::logits::last, [](int64_t, int64_t) {});
    };
    if (const int rc = decode(prompts, q.n_prompt)) {
        return ls::decode_failed(err, "self-check", rc);
    }
    for (int32_t step = 0; step < q.n_steps; step++) {
        for (int32_t s = 0; s < q.n_seq; s++) {
            column[size_t(s)] = q.ids[s * n + q.n_prompt + step];
        }
        if (const int rc = decode(column, 1)) {
            return ls::decode_failed(err, "self-check", rc);
        }
        llama_synchronize(c->ctx);
        for (int32_t s = 0; s < q.n_seq; s++) {
            q.chosen[int64_t(s) * q.n_steps + step] = ls::argmax(llama_get_logits_ith(c->ctx, s), c->n_vocab);
        }
    }
    for (int32_t i = 0; i < q.n_rows; i++) {
        std::memcpy(q.logits + int64_t(i) * c->n_vocab, llama_get_logits_ith(c->ctx, q.rows[i]), size_t(c->n_vocab) * sizeof(float));
    }
    return LS_OK;
}

} // namespace

extern "C" int ls_self_check(ls_context * c, ls_check check, int32_t * n_done, ls_error * err) {
    return ls::guarded(err, "self-check", [&] {
        *n_done = 0;
        if (check.n < 1 || check.n > int32_t(llama_n_ctx_seq(c->ctx))) {
            return ls::fail(err, LS_BAD_ARG, "self-check", "%d tokens: want 1 to %u, the context", check.n, llama_n_ctx_seq(c->ctx));
        }
        for (const int32_t * tokens : {check.batch, check.steps}) {
            if (const int rc = ls::check_tokens(c, tokens, check.n, err, "self-check")) {
                return rc;
            }
        }
        const int rc = both_ways(c, check, n_done, err);
        ls_context_clear(c);
        return rc;
    });
}

extern "C" int ls_answer(ls_context * c, ls_question q, ls_error * err) {
    return ls::guarded(err, "self-check", [&] {
        if (q.n_seq < 1 || q.n_seq > c->n_seq || q.n_seq > c->n_batch) {
            return ls::fail(err, LS_BAD_ARG, "self-check", "%d sequences: want 1 to %d", q.n_seq, c->n_seq < c->n_batch ? c->n_seq : c->n_batch);
        }
        if (q.n_prompt < 1 || q.n_steps < 1 || int64_t(q.n_prompt) + q.n_steps > int64_t(llama_n_ctx_seq(c->ctx))) {
            return ls::fail(err, LS_BAD_ARG, "self-check", "a prompt of %d tokens and %d steps: want at least 1 each, and %u together at most", q.n_prompt, q.n_steps,
                            llama_n_ctx_seq(c->ctx));
        }
        for (int32_t i = 0; i < q.n_rows; i++) {
            if (q.rows[i] < 0 || q.rows[i] >= q.n_seq) {
                return ls::fail(err, LS_BAD_ARG, "self-check", "the logits of sequence %d of %d", q.rows[i], q.n_seq);
            }
        }
        if (const int rc = ls::check_tokens(c, q.ids, int64_t(q.n_seq) * (int64_t(q.n_prompt) + q.n_steps), err, "self-check")) {
            return rc;
        }
        const int rc = answer(c, q, err);
        ls_context_clear(c);
        return rc;
    });
}
