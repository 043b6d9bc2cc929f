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

/* Folders of a toolkit, and of NVIDIA's pip packages, that hold libraries. */
static const char * const library_folders[] = { "lib64", "lib", "targets/x86_64-linux/lib", "extras/CUPTI/lib64" };
enum { n_folders = sizeof library_folders / sizeof *library_folders };

int ls_library_path(int i, const char * name, char * path, size_t size) {
    const char * const named[] = { getenv("CUDA_HOME"), getenv("CUDA_PATH") };
    const char * const usual[] = { "/usr/local/cuda-" LS_CUDA_MAJOR, "/usr/local/cuda", LS_CUDA_ROOT /* what the program was built with */ };
    const char * const beside[] = { "lib", "../lib", "../../lib" }; /* the program; the last is a bundle's, of its tests */
    enum { n_named = 2, n_usual = 3, n_beside = 3 };
    int written = -1;
    if (i < n_named * n_folders) {
        const char * root = named[i / n_folders];
        written = root && *root ? snprintf(path, size, "%s/%s/%s", root, library_folders[i % n_folders], name) : -1;
    } else if ((i -= n_named * n_folders) < n_beside) {
        char          exe[PATH_MAX];
        const ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
        if (len > 0) {
            exe[len]     = '\0';
            char * slash = strrchr(exe, '/');
            if (slash) {
                *slash  = '\0';
                written = snprintf(path, size, "%s/%s/%s", exe, beside[i], name);
            }
        }
    } else if ((i -= n_beside) < 1) {
        written = snprintf(path, size, "%s", name);
    } else if ((i -= 1) < n_usual * n_folders) {
        written = snprintf(path, size, "%s/%s/%s", usual[i / n_folders], library_folders[i % n_folders], name);
    } else {
        return -1;
    }
    return written >= 0 && (size_t) written < size;
}

static void load_cublas(void) {
    char path[2 * PATH_MAX];
    int  there;
    for (int i = 0; !cublas && (there = ls_library_path(i, LS_CUBLAS_LIBRARY, path, sizeof path)) >= 0; i++) {
        if (!there) {
            continue;
        }
        cublas = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        const char * error = cublas ? NULL : dlerror();
        if (error && !strchr(path, '/')) {
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
