//go:build llamacpp_pin

// Package native's pin: this file is never compiled. It makes go.mod require
// the module whose folder holds the llama.cpp and ggml sources that
// LLAMA=ollama builds, so that `go mod tidy` keeps the pin and go.sum checks it.
package native

import _ "github.com/ollama/ollama/llama/llama.cpp/src"
