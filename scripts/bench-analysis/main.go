// SPDX-License-Identifier: MIT

// Command bench-analysis measures what reading, analysing, plotting and reporting a
// run costs as runs grow. It makes run folders of the default run's kind, in which
// the models or the repetitions are many, and runs `llmscale report` on each.
//
//	go run ./scripts/bench-analysis -program bin/llmscale
//
// It prints wall and processor seconds, MB of records a second, the peak of resident
// memory, and the sizes of the page and of the analysis. 1,000,000 records take 7 GB
// below -dir, which are removed after their turn.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench-analysis:", err)
		os.Exit(1)
	}
}

func run() error {
	program := flag.String("program", "bin/llmscale", "the `llmscale` to measure")
	like := flag.String("like", "results/2026-11-23-xeon-2-cores", "`run` whose records are repeated and varied")
	records := flag.String("records", "10000,100000,1000000", "`numbers` of records")
	kinds := flag.String("kinds", "models,repetitions", "what there is many of")
	dir := flag.String("dir", "", "`folder` for the run folders; empty: the system's temporary folder")
	keep := flag.Bool("keep", false, "leave the run folders there, and use those that are there")
	flag.Parse()

	top := *dir
	if !*keep {
		made, err := os.MkdirTemp(*dir, "bench-analysis-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(made)
		top = made
	} else if top == "" {
		return fmt.Errorf("-keep needs -dir")
	}
	t, err := readTemplate(*like)
	if err != nil {
		return err
	}
	fmt.Println("| many | records | MB | wall s | CPU s | MB/s | peak MiB | page KiB | analysis MiB |\n|---|---|---|---|---|---|---|---|---|")
	for _, number := range strings.Split(*records, ",") {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 {
			return fmt.Errorf("-records: %q is no number of records", number)
		}
		for _, kind := range strings.Split(*kinds, ",") {
			folder := filepath.Join(top, fmt.Sprintf("%s-%d", kind, n))
			if err := measure(*program, t, folder, kind, n, *keep); err != nil {
				return fmt.Errorf("%s, %d records: %w", kind, n, err)
			}
		}
	}
	return nil
}

func measure(program string, t *template, folder, kind string, n int, keep bool) error {
	lines := filepath.Join(folder, "runs.jsonl")
	if _, err := os.Stat(lines); err != nil {
		if err := t.write(folder, kind, n); err != nil {
			return err
		}
	}
	if !keep {
		defer os.RemoveAll(folder)
	}
	cmd := exec.Command(program, "report", "--run-dir", folder)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return err
	}
	wall := time.Since(began).Seconds()
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return fmt.Errorf("this system does not tell what a process used")
	}
	mb := float64(size(lines)) / 1e6
	fmt.Printf("| %s | %d | %.0f | %.1f | %.1f | %.0f | %d | %d | %.1f |\n", kind, n, mb, wall,
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), mb/wall, usage.Maxrss/1024,
		size(filepath.Join(folder, "report.html"))/1024, float64(size(filepath.Join(folder, "analysis")))/(1<<20))
	return nil
}

// size is the bytes of a file, or of all below a folder.
func size(path string) (n int64) {
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && !d.IsDir() {
			n += info.Size()
		}
		return nil
	})
	return n
}
