//go:build cuda

// Package driver tells whether this machine has what a CUDA program needs: the
// NVIDIA driver with a GPU behind it, and cuBLAS. Its C half (driver.h) is what the
// program is linked to in their place; so a binary built for the GPU also starts
// where there is none and can say so.
package driver

// #include "driver.h"
// #include <cuda.h>
// #include <limits.h>
// #include <stdlib.h>
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"
)

// Status initialises the driver, once, and returns nil where it works and has a
// GPU; otherwise an error of one sentence.
func Status() error {
	var why *C.char
	if C.ls_driver_status(&why) != 0 {
		return errors.New(C.GoString(why))
	}
	return nil
}

// CuBLAS loads cuBLAS, which llama.cpp multiplies large matrices with, and returns
// an error of one sentence where it cannot.
func CuBLAS() error {
	var why *C.char
	if C.ls_cublas_status(&why) != 0 {
		return errors.New(C.GoString(why))
	}
	return nil
}

// major is the version of CUDA that this program was built with.
const major = C.CUDA_VERSION / 1000

// LibraryPaths lists the places to look for a library of CUDA's in, in this order. A name without a folder is for the
// loader.
func LibraryPaths(name string) (out []string) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	var path [2 * C.PATH_MAX]C.char
	for i := C.int(0); ; i++ {
		switch C.ls_library_path(i, cname, &path[0], C.size_t(len(path))) {
		case -1:
			return out
		case 1:
			if p := C.GoString(&path[0]); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
}

// Version is the newest CUDA version that the driver serves, as 1000 * major +
// 10 * minor. It needs a driver, but no GPU.
func Version() (int, error) {
	var v C.int
	if rc := C.cuDriverGetVersion(&v); rc != C.CUDA_SUCCESS {
		return 0, fmt.Errorf("cuDriverGetVersion: CUDA error %d", int(rc))
	}
	return int(v), nil
}
