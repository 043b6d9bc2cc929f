package main

import (
	"os"
	"path/filepath"
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
		p := plan{program: program, out: filepath.Join(dir, "runs"), models: dir, quiet: 2, busy: 1, blocks: 3, slow: .2}
		quiet, beside, err := p.measure()
		if err != nil {
			t.Fatal(err)
		}
		if want := "| quiet | 2 | 0, 1 | 0, 1 | 0, 1, 3, 4 | 0, 2, 6, 8 | 1 of 4 | 1.0 % |"; quiet.row() != want {
			t.Errorf("%s\nwant\n%s", quiet.row(), want)
		}
		if want := "| beside a busy neighbour | 1 | 0, 0 | 0, 0 | 0, 0, 2, 2 | 0, 0, 4, 4 | 0 of 2 | 1.0 % |"; beside.row() != want {
			t.Errorf("%s\nwant\n%s", beside.row(), want)
		}
		if len(quiet.named) != 1 || quiet.named[0] != "quiet-02: kv_decode SLOWER, 1.200 (1.100 to 1.300)" {
			t.Errorf("%q", quiet.named)
		}
	}
	if said, err := os.ReadFile(filepath.Join(dir, "said")); err != nil || string(said) != "--out\n--out\n--out\n--resume\n--resume\n--resume\n" {
		t.Errorf("%q, %v", said, err)
	}
	p := plan{program: filepath.Join(dir, "nothing"), out: filepath.Join(dir, "more"), models: dir, quiet: 1, blocks: 3}
	if _, _, err := p.measure(); err == nil {
		t.Error("a program that is not there measures")
	}
}
