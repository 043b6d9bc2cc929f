//go:build !cuda

// Package driver needs the build tag cuda; see driver.go.
package driver
