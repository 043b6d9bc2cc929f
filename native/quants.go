//go:build native

package native

// #include "quants.h"
import "C"

import (
	"unsafe"

	"llmscale/gguf"
)

// Dequantize decodes whole blocks of weights with ggml's own decoder of the type: what its kernels compute with. It
// fails if ggml has no decoder, or if src does not hold whole blocks.
func Dequantize(t gguf.Type, src []byte) ([]float32, error) {
	info, ok := t.Info()
	if !ok || int64(len(src))%info.BlockBytes != 0 {
		return nil, &Error{Op: "dequantize", Message: "the bytes are no whole blocks of " + t.String()}
	}
	dst := make([]float32, int64(len(src))/info.BlockBytes*info.BlockSize)
	var cerr C.ls_error
	code := C.ls_dequantize(C.int32_t(t), unsafe.Pointer(unsafe.SliceData(src)), C.size_t(len(src)), C.int64_t(len(dst)),
		(*C.float)(unsafe.Pointer(unsafe.SliceData(dst))), &cerr)
	return dst, toError(code, &cerr, nil)
}

// ValidateRow returns an error if ggml_validate_row_data, with which llama.cpp checks the tensors of a file, does
// not accept src. ggml prints the reason to stderr.
func ValidateRow(t gguf.Type, src []byte) error {
	var cerr C.ls_error
	code := C.ls_validate_row(C.int32_t(t), unsafe.Pointer(unsafe.SliceData(src)), C.size_t(len(src)), &cerr)
	return toError(code, &cerr, nil)
}
