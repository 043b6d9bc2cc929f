// Greedy sampling: the index of the largest logit.
#pragma once

#include <cstdint>

namespace ls {

// Index of the first largest of x[0..n), n > 0; NaN never wins. A straight loop
// that carries the index does not vectorise (about 50 us for 50,257 logits);
// taking block maxima first and looking for the index in one block only does.
inline int32_t argmax(const float * x, int32_t n) {
    constexpr int32_t block = 512, lanes = 16;
    float   best       = x[0];
    int32_t best_block = 0;
    for (int32_t start = 0; start < n; start += block) {
        float m[lanes];
        for (int32_t l = 0; l < lanes; l++) {
            m[l] = -__builtin_inff();
        }
        const int32_t end = start + block < n ? start + block : n;
        int32_t       i   = start;
        for (; i + lanes <= end; i += lanes) {
            for (int32_t l = 0; l < lanes; l++) {
                m[l] = x[i + l] > m[l] ? x[i + l] : m[l];
            }
        }
        for (; i < end; i++) {
            m[0] = x[i] > m[0] ? x[i] : m[0];
        }
        for (int32_t l = 1; l < lanes; l++) {
            m[0] = m[l] > m[0] ? m[l] : m[0];
        }
        if (m[0] > best || (best != best && m[0] == m[0])) {
            best       = m[0];
            best_block = start;
        }
    }
    for (int32_t i = best_block; i < n; i++) {
        if (x[i] == best) {
            return i;
        }
    }
    return 0; // all NaN
}

} // namespace ls
