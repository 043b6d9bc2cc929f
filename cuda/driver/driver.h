/* The CUDA driver and cuBLAS, found when the program starts instead of when it is
 * linked: one binary runs on machines with and without a GPU, and is built on
 * machines that have neither library.
 *
 * Every cu* and cublas* function of the toolkit's headers is defined here as a
 * jump to the real one (forward.S). Without the library the jump ends in a
 * function that returns an error code, never in a crash. */
#ifndef LLMSCALE_DRIVER_H
#define LLMSCALE_DRIVER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Initialises the driver, once. Returns 0 (CUDA_SUCCESS), a CUresult, or
 * LS_DRIVER_NO_LIBRARY; *why is then one sentence, which lives as long as the program.
 *
 * cuInit itself always succeeds here and does nothing: gorgonia.org/cu calls it
 * when the program starts and ends the program where it fails. */
int ls_driver_status(const char ** why);

enum { LS_DRIVER_NO_LIBRARY = -1 };

/* Whether cuBLAS can be loaded; 0, or -1 and one sentence. Loads it (about 0.5 GB
 * of address space), so only for what is about to compute, or for `doctor`. */
int ls_cublas_status(const char ** why);

/* The i-th place to look for a library of CUDA's in, counted from 0: the toolkits that
 * CUDA_HOME and CUDA_PATH name, beside the program, the loader's own path (the name
 * alone), where toolkits usually are. Returns 1 with the path, 0 where there is no such
 * place here, -1 after the last. */
int ls_library_path(int i, const char * name, char * path, size_t size);

#ifdef __cplusplus
}
#endif
#endif
