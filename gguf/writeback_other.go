//go:build !linux

package gguf

import "os"

func startWriteback(*os.File, int64, int64) {}
