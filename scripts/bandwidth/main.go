// SPDX-License-Identifier: MIT

// Command bandwidth prints how fast this machine reads memory, in GB/s: the
// median of several passes of the same threads over a buffer larger than the
// caches. scripts/peers puts decode beside it.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"

	"llmscale/native"
)

func main() {
	threads := flag.Int("threads", 2, "threads that read")
	size := flag.Int64("mib", 512, "size of the buffer in MiB")
	passes := flag.Int("passes", 15, "passes over it; the first third warms up")
	flag.Parse()
	rates, err := native.ReadBandwidth(*size<<20, *threads, *passes)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bandwidth:", err)
		os.Exit(1)
	}
	rates = rates[len(rates)/3:]
	slices.Sort(rates)
	fmt.Printf("%.3f\n", rates[len(rates)/2]/1e9)
}
