// All kernels, compiled for the CPU, and a table of them.
#include "launch.h"

#include "../bandwidth.cu"
#include "../compute.cu"
#include "../control.cu"
#include "../launch.cu"
#include "../matvec.cu"

#include <utility>

namespace emulated {

namespace {

template <class... P, size_t... I>
kernel describe(const char * file, const char * name, void (*f)(P...), std::index_sequence<I...>) {
    return {name, file, {sizeof(P)...}, [f](unsigned grid, unsigned block, void ** params) {
                (void) params; // of a kernel without any
                launch([f, params] { (void) params; f(*static_cast<P *>(params[I])...); }, grid, block);
            }};
}

template <class... P> kernel describe(const char * file, const char * name, void (*f)(P...)) {
    return describe(file, name, f, std::index_sequence_for<P...>());
}

} // namespace

#define KERNEL(file, name) describe(file, #name, name)

const std::vector<kernel> & kernels() {
    static const std::vector<kernel> all = {
        KERNEL("bandwidth", ls_read),        KERNEL("bandwidth", ls_write),       KERNEL("bandwidth", ls_copy),
        KERNEL("bandwidth", ls_triad),       KERNEL("bandwidth", ls_fill),        KERNEL("bandwidth", ls_pattern_sum),
        KERNEL("bandwidth", ls_check_triad), KERNEL("bandwidth", ls_check_write), KERNEL("compute", ls_fma),
        KERNEL("compute", ls_mma_f16),       KERNEL("control", ls_block),         KERNEL("control", ls_flush),
        KERNEL("launch", ls_empty),          KERNEL("matvec", ls_matvec_f16),     KERNEL("matvec", ls_matvec_q8_0),
        KERNEL("matvec", ls_matvec_q4_0),
    };
    return all;
}

} // namespace emulated
