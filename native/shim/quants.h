/* What ggml makes of stored weights, for checking files: see llmscale_shim.h for the rules of the door. */
#ifndef LLMSCALE_QUANTS_H
#define LLMSCALE_QUANTS_H

#include "llmscale_shim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Decodes n_elements weights of ggml type number `type` into dst, with ggml's own to_float. size is what src
 * holds; it must be what the elements take, in whole blocks. LS_BAD_ARG says what does not fit. */
int ls_dequantize(int32_t type, const void * src, size_t size, int64_t n_elements, float * dst, ls_error * err);

/* Asks ggml_validate_row_data, with which llama.cpp checks tensors, about size bytes of src. LS_FAILED if they are
 * invalid; ggml prints the reason to stderr. */
int ls_validate_row(int32_t type, const void * src, size_t size, ls_error * err);

#ifdef __cplusplus
}
#endif
#endif
