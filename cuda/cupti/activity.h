/* CUPTI's activity records, in a form of the project's own: cupti.c alone knows NVIDIA's, which change between
 * toolkits. One tracer per process. Times are of CUPTI's own clock, in ns; ls_cupti_clocks relates it to the host's. */
#ifndef LLMSCALE_CUPTI_ACTIVITY_H
#define LLMSCALE_CUPTI_ACTIVITY_H

#include <stddef.h>
#include <stdint.h>

enum { LS_ACTIVITY_KERNEL = 1, LS_ACTIVITY_MEMCPY = 2, LS_ACTIVITY_MEMSET = 3 };

typedef struct {
    int32_t  kind;
    int32_t  copy_kind; /* CUpti_ActivityMemcpyKind */
    char *   name;      /* of a kernel, mangled; else NULL. The record's own */
    uint64_t start, end;
    uint64_t bytes;     /* copied or set */
    uint32_t device, stream;
    uint32_t correlation; /* one launch: all nodes of a launched graph share it */
    uint32_t graph;
    uint64_t graph_node;  /* 0: not part of a graph */
    int32_t  grid[3], block[3];
    uint32_t registers;           /* per thread */
    uint32_t static_shared, dynamic_shared; /* bytes per block */
} ls_activity;

typedef struct {
    ls_activity * records;
    size_t        n;
    uint64_t      dropped; /* CUPTI had no room for them, or this program had no memory */
    uint64_t      untimed; /* records without a time; they are not among records */
} ls_activities;

/* One moment by both clocks; the true moment is within error_ns of it. */
typedef struct {
    int64_t  host_ns; /* CLOCK_MONOTONIC */
    uint64_t cupti_ns;
    int64_t  error_ns;
} ls_clocks;

typedef struct {
    char message[512]; /* one sentence; "" is success */
} ls_cupti_error;

/* The major version of CUDA whose headers this was compiled with; 0: without CUPTI's headers. */
int ls_cupti_headers(void);

/* Loads the library (a path, or a name for the loader to find). 0: it is loaded; -1: there is no such file, the next
 * may be tried; 1: there is one, but it cannot be used. */
int ls_cupti_open(const char * path, ls_cupti_error * err);

/* All others return 0, or 1 with *err filled in. Start must come before the process has a CUDA context. */
int  ls_cupti_start(ls_cupti_error * err);
int  ls_cupti_clocks(ls_clocks * out, ls_cupti_error * err);
int  ls_cupti_flush(ls_activities * out, ls_cupti_error * err); /* what has completed since the last flush */
int  ls_cupti_stop(ls_cupti_error * err);                       /* ends recording; flush afterwards */
void ls_cupti_free(ls_activities * a);

#endif
