/* Finding the driver and cuBLAS at run time. See driver.h. */
#define _GNU_SOURCE
#include "driver.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One forwarded function; forward.S fills the two sections. */
struct entry {
    const char * name;
    void **      slot; /* where its jump goes */
};
extern struct entry __start_ls_cuda_table[], __stop_ls_cuda_table[];
extern struct entry __start_ls_cublas_table[], __stop_ls_cublas_table[];

/* Where jumps go without the library, or where an older library lacks the function. */
int          ls_cuda_missing(void) { return 801; /* CUDA_ERROR_NOT_SUPPORTED */ }
int          ls_cublas_missing(void) { return 1; /* CUBLAS_STATUS_NOT_INITIALIZED */ }
const char * ls_cublas_missing_text(void) { return "cuBLAS is not loaded"; }

static void resolve(void * library, struct entry * begin, struct entry * end) {
    for (struct entry * e = begin; e < end; e++) {
        void * f = dlsym(library, e->name);
        if (f) {
            *e->slot = f;
        }
    }
}

/* ---- the driver ---- */

static void * driver;

/* Before main, and so before any thread: ggml-cuda calls the driver without
 * telling anybody first. Loading is all; nothing is initialised. */
__attribute__((constructor)) static void load_driver(void) {
    driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (driver) {
        resolve(driver, __start_ls_cuda_table, __stop_ls_cuda_table);
    }
}

/* Hidden, as all of the jumps are: what the driver and cuBLAS themselves call must
 * not end up here. */
#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN int cuInit(unsigned flags) {
    (void) flags;
    return 0;
}

static int  driver_status;
static char driver_why[512];

static void init_driver(void) {
    if (!driver) {
        driver_status = LS_DRIVER_NO_LIBRARY;
        snprintf(driver_why, sizeof driver_why, "no NVIDIA driver: libcuda.so.1 is not on this machine");
        return;
    }
    /* The driver's own functions by name: cuInit of this file hides the real one. */
    int (*init)(unsigned)                     = (int (*)(unsigned)) dlsym(driver, "cuInit");
    int (*error_string)(int, const char **)   = (int (*)(int, const char **)) dlsym(driver, "cuGetErrorString");
    int (*device_count)(int *)                = (int (*)(int *)) dlsym(driver, "cuDeviceGetCount");
    if (!init || !device_count) {
        driver_status = LS_DRIVER_NO_LIBRARY;
        snprintf(driver_why, sizeof driver_why, "the libcuda.so.1 on this machine is not a CUDA driver: it has no cuInit");
        return;
    }
    driver_status = init(0);
    int n = 0;
    if (driver_status == 0) {
        driver_status = device_count(&n);
    }
    if (driver_status == 0 && n == 0) {
        driver_status = 100; /* CUDA_ERROR_NO_DEVICE, which some drivers leave for later */
    }
    if (driver_status != 0) {
        const char * text = NULL;
        if (!error_string || error_string(driver_status, &text) != 0 || !text) {
            text = "no further word from it";
        }
        snprintf(driver_why, sizeof driver_why, "the NVIDIA driver does not start: %s (CUDA error %d)", text, driver_status);
    }
}

int ls_driver_status(const char ** why) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_driver);
    *why = driver_why;
    return driver_status;
}

/* ---- cuBLAS ---- */

static void * cublas;
static char   cublas_why[768];

/* Tries the loader's own path, then lib/ near the program, then where a toolkit
 * usually is. */
static void load_cublas(void) {
    char dirs[12][PATH_MAX] = { "" };
    int  n                  = 1; /* the first is the loader's path: no folder */

    char          exe[PATH_MAX];
    const ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len > 0) {
        exe[len]     = '\0';
        char * slash = strrchr(exe, '/');
        if (slash) {
            *slash = '\0';
            snprintf(dirs[n++], PATH_MAX, "%.*s/../lib/", PATH_MAX - 16, exe);
            snprintf(dirs[n++], PATH_MAX, "%.*s/../../lib/", PATH_MAX - 16, exe); /* of a bundle's tests */
        }
    }
    for (const char * const * var = (const char * const[]){ "CUDA_HOME", "CUDA_PATH", NULL }; *var; var++) {
        const char * root = getenv(*var);
        if (root && *root) {
            snprintf(dirs[n++], PATH_MAX, "%.*s/lib64/", PATH_MAX - 16, root);
            snprintf(dirs[n++], PATH_MAX, "%.*s/lib/", PATH_MAX - 16, root); /* NVIDIA's pip packages */
        }
    }
    snprintf(dirs[n++], PATH_MAX, "/usr/local/cuda/lib64/");
    snprintf(dirs[n++], PATH_MAX, "%s/", LS_CUDA_LIBRARY_DIR); /* of the toolkit that this program was built with */

    for (int i = 0; i < n && !cublas; i++) {
        char path[PATH_MAX];
        if (snprintf(path, sizeof path, "%s%s", dirs[i], LS_CUBLAS_LIBRARY) >= (int) sizeof path) {
            continue;
        }
        cublas = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        const char * error = cublas ? NULL : dlerror();
        if (i == 0 && error) {
            snprintf(cublas_why, sizeof cublas_why, "%s cannot be loaded (%.400s): install cuBLAS, or set CUDA_HOME to a CUDA toolkit", LS_CUBLAS_LIBRARY, error);
        }
    }
    if (cublas) {
        cublas_why[0] = '\0';
        resolve(cublas, __start_ls_cublas_table, __stop_ls_cublas_table);
    }
}

int ls_cublas_status(const char ** why) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_cublas);
    *why = cublas_why;
    return cublas ? 0 : -1;
}

/* The first function of cuBLAS that anybody calls: a handle must exist before there
 * is anything else to do. So the library is loaded only where it is needed. */
HIDDEN int cublasCreate_v2(void ** handle) {
    const char * why;
    if (ls_cublas_status(&why) != 0) {
        fprintf(stderr, "llmscale: %s\n", why);
        return ls_cublas_missing();
    }
    int (*create)(void **) = (int (*)(void **)) dlsym(cublas, "cublasCreate_v2");
    return create ? create(handle) : ls_cublas_missing();
}
