//go:build !native

package native

import "llmscale/gguf"

// Dequantize returns ErrNotBuilt.
func Dequantize(gguf.Type, []byte) ([]float32, error) { return nil, ErrNotBuilt }

// ValidateRow returns ErrNotBuilt.
func ValidateRow(gguf.Type, []byte) error { return ErrNotBuilt }
