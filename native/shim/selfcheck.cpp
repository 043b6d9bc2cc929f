// Whether a batch gives the logits that its tokens give one by one. Never part of a measurement.
// SPDX-License-Identifier: MIT
#include "context.h"

#include <cstring>

namespace {

void last_logits(ls_context * c, float * out) {
    llama_synchronize(c->ctx);
    std::memcpy(out, llama_get_logits_ith(c->ctx, -1), size_t(c->n_vocab) * sizeof(float));
}

// Steps come first: what they take says for how many tokens there is time.
int both_ways(ls_context * c, const int32_t * batch, const int32_t * steps, int32_t n, int64_t budget_ns,
              float * batch_logits, float * step_logits, int32_t * n_done, ls_error * err) {
    const int64_t start = ls::now_ns();
    ls_context_clear(c);
    int32_t done = 0;
    while (done < n && (done == 0 || ls::now_ns() - start < budget_ns)) {
        if (const int rc = ls::append(c, steps + done, 1, ls::logits::last)) {
            return ls::decode_failed(err, "self-check", rc);
        }
        llama_synchronize(c->ctx);
        done++;
    }
    last_logits(c, step_logits);
    *n_done = done;
    if (done < 2) { // a batch of one token is a step
        return LS_OK;
    }
    ls_context_clear(c);
    if (const int rc = ls::append(c, batch, done, ls::logits::last)) {
        return ls::decode_failed(err, "self-check", rc);
    }
    last_logits(c, batch_logits);
    return LS_OK;
}

} // namespace

extern "C" int ls_self_check(ls_context * c, const int32_t * batch, const int32_t * steps, int32_t n, int64_t budget_ns,
                             float * batch_logits, float * step_logits, int32_t * n_done, ls_error * err) {
    return ls::guarded(err, "self-check", [&] {
        *n_done = 0;
        if (n < 1 || n > int32_t(llama_n_ctx_seq(c->ctx))) {
            return ls::fail(err, LS_BAD_ARG, "self-check", "%d tokens: want 1 to %u, the context", n, llama_n_ctx_seq(c->ctx));
        }
        for (const int32_t * tokens : {batch, steps}) {
            if (const int rc = ls::check_tokens(c, tokens, n, err, "self-check")) {
                return rc;
            }
        }
        const int rc = both_ways(c, batch, steps, n, budget_ns, batch_logits, step_logits, n_done, err);
        ls_context_clear(c);
        return rc;
    });
}
