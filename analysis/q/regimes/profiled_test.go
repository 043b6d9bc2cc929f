package regimes

import (
	"math"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/profile"
	"llmscale/analysis/q/intervals"
	"llmscale/analysis/q/weights"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// TestProfiled: the operations of a decode step of 100 ns, 20 of which none runs, stand
// beside the regime of the same file's decode on the same device; another file's do not.
func TestProfiled(t *testing.T) {
	in := profile.Input{Steps: []profile.Step{{StartNS: 0, EndNS: 10, Tokens: 9}, {StartNS: 10, EndNS: 110, Tokens: 1}}}
	at := int64(10)
	do := func(name string, ns, bytes int64) {
		class := "" // a product with weights has their type
		if bytes > 0 {
			class = "q4_0"
		}
		in.Activities = append(in.Activities, profile.Activity{Kind: profile.Op, Name: name, Class: class, StartNS: at, EndNS: at + ns, Bytes: bytes})
		at += ns
	}
	in.Activities = []profile.Activity{{Kind: profile.Op, Name: "ADD", StartNS: 0, EndNS: 10}}
	do("MUL_MAT", 40, 1000)
	do("MUL_MAT", 10, 0) // with the KV cache
	do("SOFT_MAX", 6, 0)
	do("FLASH_ATTN_EXT", 4, 0)
	do("GET_ROWS", 5, 100)
	do("ADD", 15, 0)
	p, err := profile.New(&in)
	if err != nil {
		t.Fatal(err)
	}
	w := onLadder
	w.batches = []int{1}
	w.change = func(r *runs.Row) { r.ModelSHA256 = new("sha of " + r.Model) }
	rows, _ := w.rows(t, 1)
	run := &runs.Run{Harness: runs.HarnessLLMScale, Rows: rows, Ceilings: w.f, Profiles: []runs.Profile{
		{SHA256: "sha of m03", Device: "cpu", Threads: 2, Profile: p}, {SHA256: "sha of m04", Device: "cpu", Threads: 4, Profile: p}, {SHA256: "another", Device: "cpu", Threads: 2, Profile: p},
	}}
	set, err := cells.New(run, cells.Options{Bootstrap: -1})
	if err != nil {
		t.Fatal(err)
	}
	a := Ask(set, intervals.Ask(set), weights.Ask(set))
	for _, b := range a.Budgets {
		if (b.Weights != nil) != (b.Model == "m03") {
			t.Errorf("%s %s: %+v", b.Model, b.Mode, b.Split)
		}
		if b.Model != "m03" || b.Mode != record.ModeDecode {
			continue
		}
		for what, pair := range map[string][2]float64{"weights": {*b.Weights, 40. / 80}, "attention": {*b.Attention, 20. / 80}, "other": {*b.Other, 20. / 80}, "idle": {*b.Idle, 20. / 100}} {
			if math.Abs(pair[0]-pair[1]) > 1e-9 {
				t.Errorf("%s %v, want %v", what, pair[0], pair[1])
			}
		}
	}
	md := celltest.Markdown(t, a.Sections()...)
	if !strings.Contains(md, "| cpu_bs1 | m03 | decode | p1 | ") || !strings.Contains(md, " | 50.0 | 25.0 | 25.0 | 20.0 |") {
		t.Errorf("no split in\n%s", md)
	}
}
