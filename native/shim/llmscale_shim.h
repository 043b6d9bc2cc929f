/* The plain C door between Go and llama.cpp. Everything that is timed is timed
 * behind it, so that Go's scheduler and garbage collector stay outside.
 *
 * Rules: no C++ and no llama.cpp type crosses this file; every function that can
 * fail returns LS_OK or an error code and fills *err; memory handed in belongs to
 * the caller, handles belong to the shim until the matching _free; the shim keeps
 * no pointer that it was given. Times are nanoseconds of CLOCK_MONOTONIC. */
#ifndef LLMSCALE_SHIM_H
#define LLMSCALE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    LS_OK         = 0,
    LS_FAILED     = 1, /* llama.cpp said no; its log says why */
    LS_BAD_ARG    = 2, /* the caller's mistake */
    LS_NO_MEMORY  = 3, /* an allocation failed */
    LS_ABORTED    = 4, /* the progress callback asked to stop, or hot_most_ns had passed */
    LS_KV_FULL    = 5, /* the context has no room for these tokens */
    LS_NOT_FINITE = 6, /* the model computed NaN or infinity */
    LS_NOT_AVAILABLE = 7, /* this llama.cpp does not offer it */
};

typedef struct {
    int  code;
    char op[32];       /* which step failed */
    char message[480]; /* one sentence */
} ls_error;

typedef struct ls_model   ls_model;
typedef struct ls_context ls_context;

/* ---- process ---- */

/* Called for each line that llama.cpp logs; level as ggml_log_level
 * (1 debug, 2 info, 3 warn, 4 error, 5 continues the previous line). */
typedef void (*ls_log_fn)(int level, const char * text);

/* Routes the log of llama.cpp and ggml; lines below min_level never leave C. */
void ls_log_set(ls_log_fn fn, int min_level);

/* Lets fatal signals kill the process plainly, so that the parent process sees
 * SIGABRT or SIGSEGV instead of the Go runtime's exit code 2. For workers only. */
void ls_default_signals(void);

typedef struct {
    const char * llama_commit;
    const char * llama_source; /* package, ollama or checkout */
    const char * compiler;
    const char * build_type;
    const char * flags;
    const char * system_info;  /* CPU features in use, as llama.cpp lists them */
    bool portable;
    bool optimized;            /* false: built without NDEBUG or -O */
    bool sanitized;
    bool cuda;                         /* ggml-cuda is in: models can compute on a GPU */
    const char * cuda_toolkit;         /* version that it was built with; "" without CUDA */
    const char * cuda_architectures;   /* compute capabilities, as CMake lists them; "" without CUDA */
} ls_build_info;

ls_build_info ls_get_build_info(void);

/* ---- model ---- */

/* progress in [0, 1]; return false to abort the load. */
typedef bool (*ls_progress_fn)(float progress, uintptr_t user);

/* Whether this build has a GPU here to compute on. */
bool ls_has_gpu(void);

/* Tells ggml-cuda to launch kernels one by one instead of as CUDA graphs. ggml reads
 * it once: it must precede the process's first work on a GPU, and it stays. */
void ls_disable_cuda_graphs(void);

typedef struct {
    bool    gpu;          /* on the first GPU (CUDA_VISIBLE_DEVICES chooses); false: no GPU is touched, even where there is one */
    int32_t n_gpu_layers; /* with gpu: layers on it, from the last one down, the output head as one more */
    bool    use_mmap;
    bool    vocab_only;
    bool    no_alloc; /* read the file's header alone and only reckon what buffers would take; nothing can be computed */
} ls_model_params;

/* What llama.cpp says of a model that it has loaded. */
typedef struct {
    int64_t n_params;    /* elements of all tensors of the file, whether they are used or not */
    int64_t size_bytes;  /* of the same */
    int32_t n_tensors;   /* that it made of them, by distinct names: what it leaves out is not counted, what it makes twice once; -1 not known */
    int32_t n_layer;     /* as block_count: layers that predict further tokens among them */
    int32_t n_vocab, n_ctx_train, n_embd, n_head, n_head_kv;
    bool    has_encoder, has_decoder;
    char    architecture[64]; /* general.architecture */
    char    description[128];
} ls_model_info;

int  ls_model_load(const char * path, ls_model_params params, ls_progress_fn progress, uintptr_t user,
                   ls_model ** out, ls_error * err);
void ls_model_free(ls_model * model);
void ls_model_get_info(const ls_model * model, ls_model_info * out);

/* Tokenises text[0..len). Returns how many ids there are; when that is more than
 * cap, nothing past cap was written and the call wants a larger buffer. <0: error. */
int32_t ls_tokenize(const ls_model * model, const char * text, int32_t len, bool add_special, bool parse_special, int32_t * ids, int32_t cap);

/* Detokenises; returns the length in bytes, with the same rule for cap. */
int32_t ls_detokenize(const ls_model * model, const int32_t * ids, int32_t n_ids, char * text, int32_t cap);

/* ---- context ---- */

typedef struct {
    uint32_t     n_ctx;                    /* tokens, over all sequences */
    uint32_t     n_seq;                    /* sequences, each with its share of n_ctx to itself */
    uint32_t     n_batch, n_ubatch;        /* tokens */
    int32_t      n_threads, n_threads_batch;
    const int32_t * cpus;                  /* n_cpus processors to which ggml's own threads are bound, one each, if */
    int32_t         n_cpus;                /* n_threads_batch is n_threads; OpenMP's by OMP_PLACES, but for the calling one */
    int32_t      flash_attn;               /* -1 auto, 0 off, 1 on */
    const char * kv_type_k;                /* ggml type names */
    const char * kv_type_v;
    bool         window_cache;             /* layers with a sliding window keep their window alone, not the whole context */
} ls_context_params;

int  ls_context_new(ls_model * model, ls_context_params params, ls_context ** out, ls_error * err);
void ls_context_free(ls_context * ctx);
uint32_t ls_context_n_ctx(const ls_context * ctx); /* over all sequences */

enum {
    LS_MEMORY_NONE      = 0, /* each call computes all of the text anew */
    LS_MEMORY_KV        = 1,
    LS_MEMORY_RECURRENT = 2,
    LS_MEMORY_HYBRID    = 3, /* KV in some layers, recurrent in others */
};

/* What a context keeps of the past, and what it answers with. */
typedef struct {
    int32_t memory;  /* LS_MEMORY_... */
    int32_t causal;  /* 1: a token sees those before it alone; 0: all; -1 not known */
    int32_t logits;  /* 1: the graph ends in logits of the next token; 0: it does not; -1 not known */
    int32_t pooling; /* llama.h's enum llama_pooling_type: 0 in models that are for text, not for embeddings */
} ls_context_info;

void ls_context_get_info(const ls_context * ctx, ls_context_info * out);

/* The threads that really compute prefill's graphs (batch) or decode's, found by having them compute one: how many, and
 * of at most cap their ids in the system, in the team's order. */
int ls_context_team(ls_context * ctx, bool batch, int32_t * tids, int32_t cap, int32_t * n, ls_error * err);

/* What llama.cpp allocated in buffers of one type, by its own account, in bytes. */
typedef struct {
    char    buffer_type[64]; /* ggml's name: CPU, CPU_Mapped, CPU_REPACK, CUDA0, ... */
    bool    host;            /* the CPU can address it */
    int64_t model_bytes;     /* weights */
    int64_t context_bytes;   /* KV cache and other state */
    int64_t compute_bytes;   /* intermediate results */
} ls_memory;

/* Returns how many buffer types there are, of which at most cap are written to
 * out, or -1 where this llama.cpp does not tell. The buffer that logits are
 * handed out in (4 bytes for each entry of the vocabulary) is not among them. */
int32_t ls_context_memory(const ls_context * ctx, ls_memory * out, int32_t cap);

/* What a timed call is to compute, and where its values go. Of several sequences each has a row: ids[s * n .. (s + 1) * n). */
typedef struct {
    int32_t         n_seq;           /* sequences decoded together, of one length each */
    int32_t         n_prompt, n_gen; /* tokens of each */
    int32_t         depth;           /* tokens of each that are in the cache before */
    const int32_t * prompt;          /* n_seq rows of n_prompt */
    const int32_t * past;            /* n_seq rows of depth */

    double slowdown; /* for tests: prefill and each step take that share longer; 0 in every measurement */
    bool   canary;   /* before all of the following, a fixed piece of work on the threads that will compute */

    /* What comes right before: untimed prefills of the prompts until hot_ns have passed, broken off after hot_most_ns;
     * a pause of idle_ns; or nothing. */
    int64_t hot_ns, hot_most_ns, idle_ns;

    int32_t * output_ids;      /* n_seq rows of n_gen */
    int64_t * token_ns;        /* n_gen, as the following */
    int64_t * sampling_ns;
    int64_t * token_device_ns; /* NULL: no events around single steps; untouched where ls_measurement.device is false */

    /* Energy counters, each a file that holds a number in microjoules: read before prefill, between the phases and after
     * decode, at no phase's cost. */
    int32_t         n_counters;
    const int32_t * counters;   /* open files */
    int64_t *       energy_uj;  /* 3 rows of n_counters; -1 where a file could not be read */
} ls_call;

/* What a timed call took. kv_decode spans from before the first step to after the last. */
typedef struct {
    int64_t canary_read_ns, canary_compute_ns; /* 0: no canary; of reading also where the CPU cannot empty its caches */
    double  canary_sync_ns;                    /* of one meeting of the threads; 0: no canary, or one thread */
    int64_t prefill_cold_ns;   /* the first untimed prefill; 0: none, it was broken off, or it came right after the cache was filled */
    int64_t kv_clear_ns;       /* emptying the cache, or filling it to depth */
    int64_t prefill_ns;
    int64_t first_sampling_ns;
    int64_t decode_ns;
    int64_t e2e_ns;          /* by clock readings of its own, less what stands between the phases: priming_ns, and the reading of energy counters */
    int64_t minor_faults, major_faults, involuntary_switches;
    int64_t disk_read_bytes; /* for this process, read-ahead included */
    int64_t cpu_time_ns;     /* user + system, all threads */

    /* Readings of CLOCK_MONOTONIC at the phases' edges. */
    int64_t prefill_start_ns, prefill_end_ns, decode_start_ns, decode_end_ns;

    /* By CUDA events on the stream that computes; device is false without a GPU. The
     * same edges: before the first llama_decode, after the last one. */
    bool    device;
    int64_t prefill_device_ns, decode_device_ns, e2e_device_ns;
    int64_t graph_captures;  /* CUDA graphs captured in the timed phases */
    int64_t priming_ns;      /* the untimed steps below; not in e2e_ns nor e2e_device_ns; 0 without a GPU */
    int64_t rss_peak_bytes;  /* of the process, since its start */
    bool    logits_finite;   /* of the last step */
} ls_measurement;

/* Brings the KV cache to depth, evaluates the prompts one behind the other in
 * batches of n_batch with logits of each one's last token only, takes the argmax of
 * each, then takes n_gen steps of llama_decode (of one token of each sequence) +
 * llama_synchronize + argmax. Ends of sequence are ignored. A row of output_ids
 * begins with the token that comes from prefill's logits; its i-th is what step i
 * decodes. Where the prompts take several llama_decodes, the argmax of a sequence
 * follows the one that it ends in; its time counts as sampling, not as prefill.
 * On a GPU two more steps come untimed between prefill and decode: the first timed
 * step's, taken back again, in which ggml-cuda captures the CUDA graph that the
 * timed steps run. */
int ls_measure(ls_context * ctx, ls_call call, ls_measurement * out, ls_error * err);

/* Clears the KV cache; the next ls_eval starts at position 0. */
void ls_context_clear(ls_context * ctx);

/* Appends tokens to the context and copies out logits: of every token (all), n_vocab
 * floats each, or of the last one only. Not timed; for checking answers. */
int ls_eval(ls_context * ctx, const int32_t * tokens, int32_t n_tokens, bool all, float * logits, ls_error * err);

/* Tokens to be evaluated in two ways, and where the logits of the last one go, n_vocab floats. */
typedef struct {
    int32_t         n;
    const int32_t * steps;     /* n ids, one by one */
    const int32_t * batch;     /* the same as one batch (of n_batch at most at a time); others where a test wants to see a difference */
    int64_t         budget_ns; /* after which no more steps are taken; the first one is in any case */
    float *         step_logits;
    float *         batch_logits; /* left alone where n_done is below 2 */
} ls_check;

/* Evaluates tokens in both ways; n_done is how many there was time for. The KV cache is cleared before, between and after. Not timed. */
int ls_self_check(ls_context * ctx, ls_check check, int32_t * n_done, ls_error * err);

/* What sequences of given tokens are asked, and where the answers go. */
typedef struct {
    int32_t         n_seq;             /* sequences decoded together, of one length each */
    int32_t         n_prompt, n_steps; /* tokens of each: evaluated together, and then one by one */
    const int32_t * ids;               /* n_seq rows of n_prompt + n_steps */
    int32_t         n_rows;            /* sequences whose logits are wanted */
    const int32_t * rows;              /* which they are */

    int32_t * chosen; /* n_seq rows of n_steps: the argmax after each step */
    float *   logits; /* n_rows rows of n_vocab: after the last step */
} ls_question;

/* Answers a question. The KV cache is cleared before and after. Not timed. */
int ls_answer(ls_context * ctx, ls_question question, ls_error * err);

/* ---- traces: what a call consists of; never part of a measurement ---- */

typedef enum {
    LS_TRACE_STEPS     = 0, /* when each step began and ended; nothing is attached, as in ls_measure */
    LS_TRACE_PLACEMENT = 1, /* and each operation, with the backend that computes it */
    LS_TRACE_TIMED     = 2, /* and each operation's time: one by one, the backend synchronized after each */
} ls_trace_mode;

/* Prefill (step 0) or one decode step. */
typedef struct {
    int64_t start_ns, end_ns; /* around llama_decode + llama_synchronize */
    int32_t n_tokens;
    int32_t n_splits;         /* pieces that the step's last graph was cut into, one backend each; -1 not known */
} ls_trace_step;

/* One operation of a graph. Views and reshapes, which compute nothing, are not among them. */
typedef struct {
    char    op[32];          /* ggml's name: MUL_MAT, FLASH_ATTN_EXT, SILU, ... */
    char    name[64];        /* of the tensor that it computes */
    char    backend[32];     /* that computes it: CPU, CUDA0, ... */
    char    weight_type[16]; /* of the largest tensor of weights that it reads; "" if it reads none */
    bool    cpu;
    int32_t step;
    int64_t ne[4];           /* of its result */
    int64_t n_inner;         /* of a matrix product, what is summed over; else 0 */
    int64_t weight_bytes;    /* of weights that it reads; of experts and of rows looked up, no more than can be chosen */
    int64_t output_bytes;
    int64_t start_ns, end_ns; /* 0 unless LS_TRACE_TIMED */
} ls_trace_op;

/* One tensor of weights (or a view into one) that an operation reads. */
typedef struct {
    int64_t op;       /* index of the operation */
    char    name[64]; /* of the tensor in the file */
    int64_t offset;   /* of a view within its tensor, bytes */
    int64_t bytes;    /* that are read, counted as weight_bytes is */
    bool    lookup;   /* rows are looked up */
} ls_trace_read;

typedef struct ls_trace ls_trace;

/* Clears the KV cache, runs prefill and n_gen greedy steps, and clears it again. LS_TRACE_PLACEMENT takes as many of
 * the prompt's tokens as are computed at once (n_ubatch), so that each step is one graph. */
int ls_trace_new(ls_context * ctx, ls_trace_mode mode, const int32_t * prompt, int32_t n_prompt, int32_t n_gen,
                 ls_trace ** out, ls_error * err);
void ls_trace_free(ls_trace * trace);

/* What was traced, in order; valid until ls_trace_free. */
const ls_trace_step * ls_trace_steps(const ls_trace * trace, int32_t * n);
const ls_trace_op *   ls_trace_ops(const ls_trace * trace, int64_t * n);
const ls_trace_read * ls_trace_reads(const ls_trace * trace, int64_t * n);

/* ---- yardsticks ---- */

/* The plainest decode loop there is: after the same prefill, feeds ids[0..n)
 * through llama_decode + llama_synchronize, one clock reading before and one
 * after. What ls_measure costs is measured against this. */
int ls_bare_decode(ls_context * ctx, const int32_t * prompt, int32_t n_prompt, const int32_t * ids, int32_t n,
                   int64_t * total_ns, ls_error * err);

/* Reads a buffer of the given size with the given threads, each its own share as
 * 1 or 4 runs side by side (streams), sweeps times in each of passes passes. With
 * cold, the buffer is taken out of the caches before each pass: a small one is then
 * read from memory. That fails on CPUs that cannot (other than x86-64 and arm64).
 * pass_ns[i] is the time of pass i, *bytes_read what each pass read. Returns a
 * checksum so that no load can be optimised away. bytes is rounded down to a
 * multiple of 4096 per thread. */
int ls_read_bandwidth(size_t bytes, int32_t n_threads, int32_t streams, int32_t sweeps, int32_t cold, int32_t passes,
                      int64_t * pass_ns, size_t * bytes_read, uint64_t * checksum, ls_error * err);

/* Multiply-adds of f32 on registers, as wide as the build's vectors, with the given
 * threads: steps of every chain in each pass. *flop is the work of a pass, two for
 * each multiply-add; *checksum is the chains' mean value, which nears 1. */
int ls_fma_rate(int32_t n_threads, int64_t steps, int32_t passes, int64_t * pass_ns, int64_t * flop, double * checksum, ls_error * err);

/* Lets an OpenMP team of n_threads (2 or more) meet `barriers` times in each pass.
 * Call it on the OS thread that will go on to compute, or on one of its own: libgomp
 * keeps a team for each calling thread. */
int ls_barrier_cost(int32_t n_threads, int64_t barriers, int32_t passes, int64_t * pass_ns, ls_error * err);

#ifdef __cplusplus
}
#endif
#endif
