// Energy counters as files: see ls_call.counters.
#pragma once
#include "llmscale_shim.h"

#include <cstdlib>
#include <unistd.h>

namespace ls {

// Reads each of the call's counters into the given row of energy_uj.
inline void read_energy(const ls_call & call, int32_t row) {
    for (int32_t i = 0; i < call.n_counters; i++) {
        char          text[32];
        const ssize_t n  = pread(call.counters[i], text, sizeof text - 1, 0);
        int64_t       uj = -1;
        if (n > 0) {
            char * end;
            text[n]             = 0;
            const long long got = std::strtoll(text, &end, 10);
            uj                  = end > text && got >= 0 ? got : -1;
        }
        call.energy_uj[int64_t(row) * call.n_counters + i] = uj;
    }
}

} // namespace ls
