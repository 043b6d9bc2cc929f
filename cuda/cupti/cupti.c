//go:build cuda

/* Recording what the GPU does, by CUPTI's activity interface. See activity.h. */
#define _GNU_SOURCE
#include "activity.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

__attribute__((format(printf, 2, 3))) static int fail(ls_cupti_error * err, const char * format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return 1;
}

void ls_cupti_free(ls_activities * a) {
    for (size_t i = 0; i < a->n; i++) {
        free(a->records[i].name);
    }
    free(a->records);
    *a = (ls_activities) { 0 };
}

#if !__has_include(<cupti.h>)

int ls_cupti_headers(void) { return 0; }

static int absent(ls_cupti_error * err) {
    return fail(err, "this program was built without CUPTI's header cupti.h: install the toolkit's CUPTI part and build again");
}
int ls_cupti_open(const char * path, ls_cupti_error * err) { (void) path; return absent(err); }
int ls_cupti_start(ls_cupti_error * err) { return absent(err); }
int ls_cupti_clocks(ls_clocks * out, ls_cupti_error * err) { (void) out; return absent(err); }
int ls_cupti_flush(ls_activities * out, ls_cupti_error * err) { (void) out; return absent(err); }
int ls_cupti_stop(ls_cupti_error * err) { return absent(err); }

#else

#include <cupti.h>

/* Records grow at their end from toolkit to toolkit. All fields that are read here are in the oldest form of CUDA 12,
 * but the newest that the headers have is named, so that a field that moves does not compile. */
#if CUPTI_API_VERSION >= 130000
typedef CUpti_ActivityKernel10 kernel_record;
typedef CUpti_ActivityMemcpy6  memcpy_record;
#elif CUPTI_API_VERSION >= 26 /* CUDA 12.8 */
typedef CUpti_ActivityKernel9 kernel_record;
typedef CUpti_ActivityMemcpy6 memcpy_record;
#elif CUPTI_API_VERSION >= 19 /* CUDA 12.0 */
typedef CUpti_ActivityKernel9 kernel_record;
typedef CUpti_ActivityMemcpy5 memcpy_record;
#else
#error "llmscale needs the CUPTI headers of CUDA 12 or newer"
#endif
typedef CUpti_ActivityMemset4 memset_record;

/* CUPTI counted its versions 1, 2, 3... until CUDA 12 (19 to 28); from CUDA 13 on they read 130000. */
static int major_of(uint32_t api) { return api >= 100000 ? (int) (api / 10000) : api >= 19 ? 12 : 11; }

int ls_cupti_headers(void) { return major_of(CUPTI_API_VERSION); }

#define FUNCTIONS(F)               \
    F(cuptiGetVersion)             \
    F(cuptiGetResultString)        \
    F(cuptiGetTimestamp)           \
    F(cuptiActivityEnable)         \
    F(cuptiActivityDisable)        \
    F(cuptiActivityRegisterCallbacks) \
    F(cuptiActivityFlushAll)       \
    F(cuptiActivityGetNextRecord)  \
    F(cuptiActivityGetNumDroppedRecords)

static struct {
#define DECLARE(name) __typeof__(name) * name;
    FUNCTIONS(DECLARE)
#undef DECLARE
    void * library;
} api;

/* What the callbacks have collected, on threads of CUPTI's own. */
static struct {
    pthread_mutex_t lock;
    ls_activities   found;
    size_t          room;
    CUptiResult     failed; /* of reading the records */
} collected = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int check(CUptiResult rc, const char * what, ls_cupti_error * err) {
    if (rc == CUPTI_SUCCESS) {
        return 0;
    }
    const char * text = NULL;
    if (api.cuptiGetResultString(rc, &text) != CUPTI_SUCCESS || !text) {
        text = "an unknown result";
    }
    const char * hint   = "";
    void *       driver = NULL;
    switch ((int) rc) {
        case CUPTI_ERROR_NOT_INITIALIZED:
        case CUPTI_ERROR_UNKNOWN: /* what CUPTI 13 says where there is no driver */
            driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
            hint   = driver ? ": the NVIDIA driver does not start, or is too old for this CUPTI"
                            : ": there is no NVIDIA driver (libcuda.so.1) on this machine";
            if (driver) {
                dlclose(driver);
            }
            break;
        case CUPTI_ERROR_INSUFFICIENT_PRIVILEGES:
        case CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES:
            hint = ": profiling is kept for administrators here; run as root, or load the driver with NVreg_RestrictProfilingToAdminUsers=0";
            break;
        case CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED:
            hint = ": another profiler is attached to this process";
            break;
    }
    return fail(err, "%s returned %s (%d)%s", what, text, (int) rc, hint);
}

int ls_cupti_open(const char * path, ls_cupti_error * err) {
    if (api.library) {
        return 0;
    }
    /* Never closed: CUPTI keeps threads and hooks of the driver. */
    void * library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fail(err, "%s", dlerror());
        return -1;
    }
#define RESOLVE(name)                                                               \
    if (!(api.name = (__typeof__(name) *) dlsym(library, #name))) {                 \
        dlclose(library);                                                           \
        return fail(err, "%s is no CUPTI that this program knows: it lacks %s", path, #name); \
    }
    FUNCTIONS(RESOLVE)
#undef RESOLVE
    uint32_t version = 0;
    int      rc      = check(api.cuptiGetVersion(&version), "cuptiGetVersion", err);
    if (!rc && major_of(version) != ls_cupti_headers()) {
        rc = fail(err, "%s is of CUDA %d, this program was built with CUDA %d: its records differ; set CUDA_HOME to a toolkit of CUDA %d", path,
                  major_of(version), ls_cupti_headers(), ls_cupti_headers());
    }
    if (rc) {
        dlclose(library);
        return rc;
    }
    api.library = library;
    return 0;
}

static const size_t buffer_bytes = 8 << 20;

static void CUPTIAPI buffer_requested(uint8_t ** buffer, size_t * size, size_t * max_records) {
    *buffer      = aligned_alloc(8, buffer_bytes); /* NULL: CUPTI drops records, and counts them */
    *size        = *buffer ? buffer_bytes : 0;
    *max_records = 0; /* as many as fit */
}

static void keep(ls_activity a, const char * name) {
    if (a.start == 0 || a.end == 0) { /* CUPTI's way to say that it could not time it */
        collected.found.untimed++;
        return;
    }
    if (collected.found.n == collected.room) {
        const size_t  room = collected.room ? 2 * collected.room : 4096;
        ls_activity * more = realloc(collected.found.records, room * sizeof *more);
        if (!more) {
            collected.found.dropped++;
            return;
        }
        collected.found.records = more;
        collected.room          = room;
    }
    if (name && !(a.name = strdup(name))) {
        collected.found.dropped++;
        return;
    }
    collected.found.records[collected.found.n++] = a;
}

static void collect(const CUpti_Activity * record) {
    switch (record->kind) {
        case CUPTI_ACTIVITY_KIND_KERNEL:
        case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
            const kernel_record * k = (const kernel_record *) record;
            keep((ls_activity) { .kind = LS_ACTIVITY_KERNEL, .start = k->start, .end = k->end, .device = k->deviceId, .stream = k->streamId,
                     .correlation = k->correlationId, .graph = k->graphId, .graph_node = k->graphNodeId,
                     .grid = { k->gridX, k->gridY, k->gridZ }, .block = { k->blockX, k->blockY, k->blockZ },
                     .registers = k->registersPerThread, .static_shared = (uint32_t) k->staticSharedMemory,
                     .dynamic_shared = (uint32_t) k->dynamicSharedMemory },
                 k->name ? k->name : "(no name)");
            break;
        }
        case CUPTI_ACTIVITY_KIND_MEMCPY: {
            const memcpy_record * m = (const memcpy_record *) record;
            keep((ls_activity) { .kind = LS_ACTIVITY_MEMCPY, .copy_kind = m->copyKind, .start = m->start, .end = m->end, .bytes = m->bytes,
                     .device = m->deviceId, .stream = m->streamId, .correlation = m->correlationId, .graph = m->graphId,
                     .graph_node = m->graphNodeId }, NULL);
            break;
        }
        case CUPTI_ACTIVITY_KIND_MEMSET: {
            const memset_record * m = (const memset_record *) record;
            keep((ls_activity) { .kind = LS_ACTIVITY_MEMSET, .start = m->start, .end = m->end, .bytes = m->bytes, .device = m->deviceId,
                     .stream = m->streamId, .correlation = m->correlationId, .graph = m->graphId, .graph_node = m->graphNodeId }, NULL);
            break;
        }
        default: break; /* no other kind is enabled; CUPTI adds some of its own */
    }
}

static void CUPTIAPI buffer_completed(CUcontext context, uint32_t stream, uint8_t * buffer, size_t size, size_t valid) {
    (void) size;
    if (!buffer) {
        return;
    }
    pthread_mutex_lock(&collected.lock);
    CUpti_Activity * record = NULL;
    while (valid > 0) {
        const CUptiResult rc = api.cuptiActivityGetNextRecord(buffer, valid, &record);
        if (rc == CUPTI_SUCCESS) {
            collect(record);
            continue;
        }
        if (rc == CUPTI_ERROR_INVALID_KIND) { /* one that is not whole, and what may follow it cannot be found */
            collected.found.dropped++;
        } else if (rc != CUPTI_ERROR_MAX_LIMIT_REACHED) {
            collected.failed = rc;
        }
        break;
    }
    size_t dropped = 0;
    if (api.cuptiActivityGetNumDroppedRecords(context, stream, &dropped) == CUPTI_SUCCESS) {
        collected.found.dropped += dropped;
    }
    pthread_mutex_unlock(&collected.lock);
    free(buffer);
}

/* Whether the process has a CUDA context already. Without a driver there is none; starting will say so. */
static bool has_context(void) {
    void * driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!driver) {
        return false;
    }
    typedef int (*count_fn)(int *);
    typedef int (*state_fn)(int, unsigned *, int *);
    const count_fn count = (count_fn) dlsym(driver, "cuDeviceGetCount");
    const state_fn state = (state_fn) dlsym(driver, "cuDevicePrimaryCtxGetState");
    int            n     = 0;
    if (!count || !state || count(&n) != 0) { /* not initialised: no context either */
        return false;
    }
    for (int i = 0; i < n; i++) {
        unsigned flags  = 0;
        int      active = 0;
        if (state(i, &flags, &active) == 0 && active) {
            return true;
        }
    }
    return false;
}

static const struct {
    CUpti_ActivityKind kind;
    const char *       name;
} kinds[] = {
    /* CONCURRENT_KERNEL also records each kernel node of a launched graph, as long as GRAPH_TRACE is off. */
    { CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, "cuptiActivityEnable(CONCURRENT_KERNEL)" },
    { CUPTI_ACTIVITY_KIND_MEMCPY, "cuptiActivityEnable(MEMCPY)" },
    { CUPTI_ACTIVITY_KIND_MEMSET, "cuptiActivityEnable(MEMSET)" },
};
enum { n_kinds = sizeof kinds / sizeof *kinds };

int ls_cupti_start(ls_cupti_error * err) {
    if (has_context()) {
        return fail(err, "the process has a CUDA context already: graphs captured in it would be recorded without their kernels");
    }
    if (check(api.cuptiActivityRegisterCallbacks(buffer_requested, buffer_completed), "cuptiActivityRegisterCallbacks", err)) {
        return 1;
    }
    for (int i = 0; i < n_kinds; i++) {
        if (check(api.cuptiActivityEnable(kinds[i].kind), kinds[i].name, err)) {
            while (i-- > 0) {
                api.cuptiActivityDisable(kinds[i].kind); /* what was not enabled is the error to report */
            }
            return 1;
        }
    }
    return 0;
}

static int64_t monotonic_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The tightest of some readings of CUPTI's clock between two of the host's. */
int ls_cupti_clocks(ls_clocks * out, ls_cupti_error * err) {
    int64_t best = INT64_MAX;
    for (int i = 0; i < 32; i++) {
        uint64_t      stamp  = 0;
        const int64_t before = monotonic_ns();
        const int     rc     = check(api.cuptiGetTimestamp(&stamp), "cuptiGetTimestamp", err);
        const int64_t after  = monotonic_ns();
        if (rc) {
            return rc;
        }
        if (after - before < best) {
            best = after - before;
            *out = (ls_clocks) { .host_ns = before + best / 2, .cupti_ns = stamp, .error_ns = (best + 1) / 2 };
        }
    }
    return 0;
}

int ls_cupti_flush(ls_activities * out, ls_cupti_error * err) {
    *out = (ls_activities) { 0 };
    if (check(api.cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "cuptiActivityFlushAll", err)) {
        return 1;
    }
    pthread_mutex_lock(&collected.lock);
    const CUptiResult failed = collected.failed;
    *out                     = collected.found;
    collected.found          = (ls_activities) { 0 };
    collected.room           = 0;
    collected.failed         = CUPTI_SUCCESS;
    pthread_mutex_unlock(&collected.lock);
    if (check(failed, "cuptiActivityGetNextRecord", err)) {
        ls_cupti_free(out);
        return 1;
    }
    return 0;
}

int ls_cupti_stop(ls_cupti_error * err) {
    int rc = 0;
    for (int i = 0; i < n_kinds; i++) {
        const CUptiResult r = api.cuptiActivityDisable(kinds[i].kind);
        if (r != CUPTI_SUCCESS && rc == 0) {
            rc = check(r, "cuptiActivityDisable", err);
        }
    }
    return rc;
}

#endif
