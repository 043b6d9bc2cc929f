//go:build native

package native

// #include "llmscale_shim.h"
// #include <stdlib.h>
// extern bool llmscaleLoadProgress(float share, uintptr_t user);
import "C"

import (
	"fmt"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Model is a loaded model. Its methods may be called from several goroutines;
// Close must come after the Close of its contexts.
type Model struct {
	mu       sync.RWMutex
	c        *C.ls_model  // nil once closed
	contexts atomic.Int32 // that are open
	log      []string     // llama.cpp's warnings while it loaded, of which a later refusal may be the consequence
}

// Load loads the GGUF file at path. A load that p.Progress stops returns an
// error that is ErrAborted; one that does not fit returns ErrNoMemory, where
// llama.cpp lives to say so.
func Load(path string, p ModelParams) (*Model, error) {
	quietUnlessRouted()
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	progress := p.Progress
	if progress == nil {
		progress = func(float32) bool { return true }
	}
	handle := cgo.NewHandle(progress)
	defer handle.Delete()

	params := C.ls_model_params{
		gpu:          C.bool(p.GPU),
		n_gpu_layers: C.int32_t(p.GPULayers),
		use_mmap:     C.bool(p.Mmap),
		vocab_only:   C.bool(p.VocabOnly),
		no_alloc:     C.bool(p.NoAlloc),
	}
	m := &Model{}
	var cerr C.ls_error
	log := logs.capture()
	code := C.ls_model_load(cpath, params, C.ls_progress_fn(C.llmscaleLoadProgress), C.uintptr_t(handle), &m.c, &cerr)
	if err := toError(code, &cerr, log); err != nil {
		return nil, err
	}
	m.log = log.lines
	return m, nil
}

// HasGPU tells whether there is a GPU that a model can be loaded on.
func HasGPU() bool {
	quietUnlessRouted()
	return bool(C.ls_has_gpu())
}

// DisableCUDAGraphs has kernels launched one by one instead of as CUDA graphs. It
// holds for the whole process and must precede its first work on a GPU.
func DisableCUDAGraphs() { C.ls_disable_cuda_graphs() }

// Close frees the model. While it has open contexts it refuses: their next call
// would use freed memory.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.contexts.Load(); n > 0 {
		return &Error{Op: "close", Message: fmt.Sprintf("the model has %d open contexts: close them first", n)}
	}
	if m.c != nil {
		C.ls_model_free(m.c)
		m.c = nil
	}
	return nil
}

var errClosed = &Error{Op: "use", Message: "the model or context is closed"}

// Info returns what llama.cpp says about the model.
func (m *Model) Info() ModelInfo {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.c == nil {
		return ModelInfo{}
	}
	var c C.ls_model_info
	C.ls_model_get_info(m.c, &c)
	return ModelInfo{
		Params:       int64(c.n_params),
		SizeBytes:    int64(c.size_bytes),
		Tensors:      int(c.n_tensors),
		NVocab:       int(c.n_vocab),
		NCtxTrain:    int(c.n_ctx_train),
		NEmbd:        int(c.n_embd),
		NLayer:       int(c.n_layer),
		NHead:        int(c.n_head),
		NHeadKV:      int(c.n_head_kv),
		HasEncoder:   bool(c.has_encoder),
		HasDecoder:   bool(c.has_decoder),
		Architecture: C.GoString(&c.architecture[0]),
		Description:  C.GoString(&c.description[0]),
	}
}

// Tokenize returns the ids of text in the model's vocabulary; special adds the
// tokens that the model wants around a text (such as BOS). Text that spells a special
// token stays text.
func (m *Model) Tokenize(text string, special bool) ([]int32, error) {
	return m.tokenize(text, special, false)
}

// TokenizeMarkup is Tokenize with the tokens around the text, and with special tokens
// (such as <|endoftext|>) where the text spells them: what servers do with a raw prompt.
func (m *Model) TokenizeMarkup(text string) ([]int32, error) {
	return m.tokenize(text, true, true)
}

func (m *Model) tokenize(text string, special, markup bool) ([]int32, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.c == nil {
		return nil, errClosed
	}
	length := len(text)
	if text == "" {
		text = "\x00" // a pointer to take; its length stays 0
	}
	p := (*C.char)(unsafe.Pointer(unsafe.StringData(text)))
	for ids := make([]int32, length+8); ; {
		n := int(C.ls_tokenize(m.c, p, C.int32_t(length), C.bool(special), C.bool(markup), (*C.int32_t)(unsafe.Pointer(&ids[0])), C.int32_t(len(ids))))
		switch {
		case n < 0:
			return nil, &Error{Op: "tokenize", Message: "llama.cpp could not tokenise the text"}
		case n <= len(ids):
			return ids[:n], nil
		}
		ids = make([]int32, n)
	}
}

// Detokenize returns the text of ids.
func (m *Model) Detokenize(ids []int32) (string, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.c == nil {
		return "", errClosed
	}
	if len(ids) == 0 {
		return "", nil
	}
	vocab := int32(m.vocabSize())
	for _, id := range ids {
		if id < 0 || id >= vocab {
			return "", &Error{Op: "detokenize", Message: "a token id lies outside the vocabulary"}
		}
	}
	for text := make([]byte, 8*len(ids)+16); ; {
		n := int(C.ls_detokenize(m.c, (*C.int32_t)(unsafe.Pointer(&ids[0])), C.int32_t(len(ids)), (*C.char)(unsafe.Pointer(&text[0])), C.int32_t(len(text))))
		if n <= len(text) {
			return string(text[:n]), nil
		}
		text = make([]byte, n)
	}
}

// vocabSize needs m.mu held.
func (m *Model) vocabSize() int {
	var c C.ls_model_info
	C.ls_model_get_info(m.c, &c)
	return int(c.n_vocab)
}
