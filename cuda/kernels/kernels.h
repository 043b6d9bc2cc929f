/* The project's own kernels as a host sees them: the compiled images, and the
 * numbers that a launch must agree with. Each kernel's parameters and meaning stand
 * above it in its .cu file; docs/kernels.md lists them. */
#ifndef LLMSCALE_KERNELS_H
#define LLMSCALE_KERNELS_H

#ifdef __cplusplus
extern "C" {
#endif

/* A .cu file compiled for every architecture of the build, plus PTX, as
 * cuModuleLoadData takes it. name is the file's, without .cu. */
struct ls_fatbin {
    const char *          name;
    const unsigned char * data;
    unsigned long long    size; /* bytes */
};

extern const struct ls_fatbin ls_fatbins[];
extern const int              ls_fatbin_count;

#ifdef __cplusplus
}
#endif

/* matvec.cu. Threads of a block, of which each warp takes a row. */
#define LS_MATVEC_THREADS 128
/* Words of a lane's pair of x blocks, each a stride of 32 words from the next:
 * 8 words of quants, 8 of the second block's, two f32 scales, two sums of quants. */
#define LS_X_FIRST  0
#define LS_X_SECOND 8
#define LS_X_SCALES 16
#define LS_X_SUMS   18
#define LS_X_WORDS  20

/* compute.cu */
#define LS_COMPUTE_THREADS 256 /* of a block */
#define LS_FMA_CHAINS      16
#define LS_FMA_COUNTERS    4
#define LS_FMA_UNROLL      8 /* multiply-adds of a chain in an iteration */
#define LS_MMA_TILES       8 /* accumulators of a warp; an iteration multiplies each twice */

#endif
