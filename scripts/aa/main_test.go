package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestTally: of two sweeps on the quiet machine one is SLOWER in a phase and on two of its
// four cells, by 20 % as was planted, the one beside the neighbour in none; a second call
// measures nothing again that is there.
func TestTally(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "llmscale")
	script := `#!/bin/sh
cd "$(dirname "$0")" || exit 1
if [ "$1" = analyze ]; then
    mkdir "$3/analysis" 2>/dev/null
    case "$3" in *quiet-02) wrong="AMBIGUOUS,disturbed cpu_wait" ;; *busy*) wrong="INVALID,cpu_wait" ;; *) wrong="AMBIGUOUS,wide_interval" ;; esac
    printf 'model,scenario,verdict,reasons\n5m,p16,%s\n14m,p16,VALID,\n14m,__all__,%s\n' "$wrong" "$wrong" >"$3/analysis/cell_intervals.csv"
    exit
fi
if [ "$1" = run ]; then
    while [ "$1" != --out ] && [ "$1" != --resume ]; do shift; done
    echo "$1" >>said; mkdir -p "$2"; : >"$2/manifest.json"; exit
fi
same='"verdict": "SAME", "ratio": 1, "ratio_ci": {"low": 0.99, "high": 1.01}, "findable": 0.01'
if [ "$(basename "$2")" = quiet-02 ]; then
    wrong='"verdict": "SLOWER", "ratio": 1.2, "ratio_ci": {"low": 1.1, "high": 1.3}, "findable": 0.03'
else
    wrong=$same
fi
echo "{\"phases\": [{\"mode\": \"prefill\", $same}, {\"mode\": \"kv_decode\", $wrong}], \"cells\": [{$same}, {$wrong}, {$wrong}, {$same}]}"
`
	if err := os.WriteFile(program, []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p := plan{program: program, out: filepath.Join(dir, "runs"), models: dir, quiet: 2, busy: 1, blocks: 3, slow: .2, neighbour: one}
		r, err := p.measure()
		if err != nil {
			t.Fatal(err)
		}
		quiet, beside := r.quiet, r.beside
		if want := "| quiet | 2 | 0, 1 | 0, 1 | 0, 1, 3, 4 | 0, 2, 6, 8 | 1 of 4 | 1.0 % |"; quiet.row() != want {
			t.Errorf("%s\nwant\n%s", quiet.row(), want)
		}
		if want := "| beside a neighbour, one | 1 | 0, 0 | 0, 0 | 0, 0, 2, 2 | 0, 0, 4, 4 | 0 of 2 | 1.0 % |"; beside.row() != want {
			t.Errorf("%s\nwant\n%s", beside.row(), want)
		}
		for i, want := range []string{
			"| quiet | 4 | 1 (25.0 %) | 1 (25.0 %) | 2 (50.0 %) | 0 (0.0 %) | cpu_wait 1, disturbed 1, wide_interval 1 |",
			"| beside a neighbour, one | 1 | 1 (100.0 %) | 0 (0.0 %) | 0 (0.0 %) | 1 (100.0 %) | cpu_wait 1 |",
			"| the other models of these sweeps | 1 | 0 (0.0 %) | 0 (0.0 %) | 0 (0.0 %) | 0 (0.0 %) |  |",
		} {
			if got := r.cells[i].row(); got != want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
		}
		if len(quiet.named) != 1 || quiet.named[0] != "quiet-02: kv_decode SLOWER, 1.200 (1.100 to 1.300)" {
			t.Errorf("%q", quiet.named)
		}
	}
	if said, err := os.ReadFile(filepath.Join(dir, "said")); err != nil || string(said) != "--out\n--out\n--out\n--resume\n--resume\n--resume\n" {
		t.Errorf("%q, %v", said, err)
	}
	p := plan{program: filepath.Join(dir, "nothing"), out: filepath.Join(dir, "more"), models: dir, quiet: 1, blocks: 3}
	if _, err := p.measure(); err == nil {
		t.Error("a program that is not there measures")
	}
}

// TestNeighbour: that of one model is found by the file that a child maps, and by no
// other model's.
func TestNeighbour(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ladder-llama-14m-f16-seed42.gguf")
	if err := os.WriteFile(file, make([]byte, 4096), 0o666); err != nil {
		t.Fatal(err)
	}
	maps := "7f0000000000-7f0000001000 r--p 00000000 08:01 17 /lib/libc.so\n7f0000001000-7f0000002000 r--s 00000000 08:01 18   " + file + "\n"
	if got := modelIn(maps); got != filepath.Base(file) {
		t.Errorf("%q", got)
	}
	if got := modelIn("7f0000000000-7f0000001000 r--p 00000000 08:01 17 /lib/libc.so\n"); got != "" {
		t.Errorf("%q", got)
	}
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	memory, err := syscall.Mmap(int(in.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(memory)
	for model, want := range map[string]bool{"14m": true, "4m": false, "5m": false} {
		w := workers{of: os.Getppid(), model: model, has: map[string]bool{}} // whose child this process is
		if w.any() != want {
			t.Errorf("%s: %v", model, !want)
		}
	}
}
