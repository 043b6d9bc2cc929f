/* A CUPTI without a GPU, for the tests: what a flush hands out is known, and the environment says what goes wrong. */
#define _GNU_SOURCE
#include <cupti.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#if CUPTI_API_VERSION >= 130000
typedef CUpti_ActivityKernel10 kernel_record;
#else
typedef CUpti_ActivityKernel9 kernel_record;
#endif
#if CUPTI_API_VERSION >= 26
typedef CUpti_ActivityMemcpy6 memcpy_record;
#else
typedef CUpti_ActivityMemcpy5 memcpy_record;
#endif

static long setting(const char * name, long otherwise) {
    const char * v = getenv(name);
    return v && *v ? atol(v) : otherwise;
}

static CUpti_BuffersCallbackRequestFunc  requested;
static CUpti_BuffersCallbackCompleteFunc completed;
static int                               enabled, flushes;

/* Another epoch and another rate than the host's clock. */
static uint64_t clock_of(int64_t host_ns) { return 1700000000000000000u + (uint64_t) (host_ns + host_ns / 1000); }

static int64_t host_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}

CUptiResult cuptiGetVersion(uint32_t * version) {
    *version = (uint32_t) setting("FAKE_VERSION", CUPTI_API_VERSION);
    return CUPTI_SUCCESS;
}

CUptiResult cuptiGetResultString(CUptiResult rc, const char ** text) {
    *text = rc == CUPTI_ERROR_NOT_INITIALIZED ? "CUPTI_ERROR_NOT_INITIALIZED" : "CUPTI_ERROR_OTHER";
    return CUPTI_SUCCESS;
}

CUptiResult cuptiGetTimestamp(uint64_t * stamp) {
    *stamp = clock_of(host_ns());
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind) {
    if (kind == CUPTI_ACTIVITY_KIND_MEMCPY && setting("FAKE_ENABLE_RESULT", 0)) {
        return (CUptiResult) setting("FAKE_ENABLE_RESULT", 0);
    }
    enabled |= 1 << kind;
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityDisable(CUpti_ActivityKind kind) {
    enabled &= ~(1 << kind);
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc r, CUpti_BuffersCallbackCompleteFunc c) {
    requested = r;
    completed = c;
    return CUPTI_SUCCESS;
}

static size_t size_of(const CUpti_Activity * a) {
    switch (a->kind) {
        case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: return sizeof(kernel_record);
        case CUPTI_ACTIVITY_KIND_MEMCPY:            return sizeof(memcpy_record);
        case CUPTI_ACTIVITY_KIND_MEMSET:            return sizeof(CUpti_ActivityMemset4);
        default:                                    return 16;
    }
}

CUptiResult cuptiActivityGetNextRecord(uint8_t * buffer, size_t valid, CUpti_Activity ** record) {
    uint8_t * next = *record ? (uint8_t *) *record + size_of(*record) : buffer;
    if (next >= buffer + valid) {
        return (CUptiResult) setting("FAKE_END", CUPTI_ERROR_MAX_LIMIT_REACHED);
    }
    *record = (CUpti_Activity *) next;
    return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext context, uint32_t stream, size_t * dropped) {
    (void) context;
    (void) stream;
    *dropped = (size_t) setting("FAKE_DROPPED", 0);
    return CUPTI_SUCCESS;
}

static uint8_t * put(uint8_t * at, const void * record, size_t size) {
    memcpy(at, record, size);
    return at + size;
}

/* The first flush has nothing, as after a load without work; the second has one record of each kind, the later kernel
 * first; later ones have nothing. Of the memory set, bytes is its start by the host's clock. */
CUptiResult cuptiActivityFlushAll(uint32_t flag) {
    const int all = 1 << CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL | 1 << CUPTI_ACTIVITY_KIND_MEMCPY | 1 << CUPTI_ACTIVITY_KIND_MEMSET;
    if (flag != CUPTI_ACTIVITY_FLAG_FLUSH_FORCED || enabled != all) {
        return CUPTI_ERROR_INVALID_OPERATION;
    }
    if (flushes++ != 1) {
        return CUPTI_SUCCESS;
    }
    uint8_t * buffer = NULL;
    size_t    size = 0, max = 0;
    requested(&buffer, &size, &max);
    if (!buffer || size < 4096 || max != 0) {
        return CUPTI_ERROR_INVALID_PARAMETER;
    }
    const int64_t t  = host_ns();
    uint8_t *     at = buffer;

    kernel_record k;
    memset(&k, 0xff, sizeof k); /* what is not set must not matter */
    k.kind                = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
    k.name                = "_Z13mul_mat_vec_qIL9ggml_type2ELi1EEvPKvS2_Pfi";
    k.start               = clock_of(t + 5000);
    k.end                 = clock_of(t + 9000);
    k.deviceId            = 0;
    k.streamId            = 7;
    k.correlationId       = 42;
    k.graphId             = 3;
    k.graphNodeId         = 0x300000001;
    k.gridX               = 768;
    k.gridY               = 2;
    k.gridZ               = 1;
    k.blockX              = 32;
    k.blockY              = 4;
    k.blockZ              = 1;
    k.registersPerThread  = 40;
    k.staticSharedMemory  = 128;
    k.dynamicSharedMemory = 1024;
    at                    = put(at, &k, sizeof k);

    const uint32_t other[4] = { CUPTI_ACTIVITY_KIND_OVERHEAD, 0, 0, 0 }; /* CUPTI adds kinds of its own */
    at                      = put(at, other, sizeof other);

    k.name        = "sm90_gemm_not_mangled";
    k.start       = clock_of(t + 1000);
    k.end         = clock_of(t + 2000);
    k.graphId     = 0;
    k.graphNodeId = 0;
    at            = put(at, &k, sizeof k);

    k.start = k.end = 0; /* could not be timed */
    at              = put(at, &k, sizeof k);

    memcpy_record c;
    memset(&c, 0xff, sizeof c);
    c.kind          = CUPTI_ACTIVITY_KIND_MEMCPY;
    c.copyKind      = CUPTI_ACTIVITY_MEMCPY_KIND_DTOH;
    c.bytes         = 200064;
    c.start         = clock_of(t + 10000);
    c.end           = clock_of(t + 12000);
    c.deviceId      = 0;
    c.streamId      = 7;
    c.correlationId = 43;
    c.graphId       = 0;
    c.graphNodeId   = 0;
    at              = put(at, &c, sizeof c);

    CUpti_ActivityMemset4 s;
    memset(&s, 0xff, sizeof s);
    s.kind          = CUPTI_ACTIVITY_KIND_MEMSET;
    s.bytes         = (uint64_t) (t + 13000);
    s.start         = clock_of(t + 13000);
    s.end           = clock_of(t + 14000);
    s.deviceId      = 0;
    s.streamId      = 8;
    s.correlationId = 44;
    s.graphId       = 0;
    s.graphNodeId   = 0;
    at              = put(at, &s, sizeof s);

    completed(NULL, 0, buffer, size, (size_t) (at - buffer));
    return CUPTI_SUCCESS;
}
