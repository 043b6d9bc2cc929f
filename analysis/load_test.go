package analysis

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/analysis/cells"
	"llmscale/analysis/cells/celltest"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// writeRun makes a run folder of lines; manifest "" leaves the file out.
func writeRun(t testing.TB, manifest, lines string) string {
	t.Helper()
	dir := t.TempDir()
	if manifest != "" {
		if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(manifest), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "runs.jsonl"), []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustLoad(t testing.TB, dir string) *runs.Run {
	t.Helper()
	run, err := runs.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// decodeLine is a record of a decode call as llmscale writes it.
func decodeLine(session, rep int, status string, ms float64) string {
	r := record.Record{
		Origin: record.Origin{SchemaVersion: record.SchemaVersion},
		Order:  record.Order{Session: session},
		Subject: record.Subject{Scenario: "micro", Backend: "b", BackendKind: "native",
			Model: "m", ParamsMillions: 5, BatchSizeConfig: 1, GenTokensTarget: 8},
		Outcome: record.Outcome{Mode: record.ModeDecode, Status: status},
	}
	r.Rep = &rep
	r.CallIdx = rep + 1
	if status == record.StatusOK {
		r.LatencyMS = &ms
	} else {
		r.Error = new("why")
	}
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(data) + "\n"
}

func TestLoadDamaged(t *testing.T) {
	good := decodeLine(0, 0, "ok", 10)
	for _, c := range []struct {
		name, lines     string
		records, broken int
		code, where     string
	}{
		{"whole", good + decodeLine(0, 1, "ok", 11), 2, 0, "", ""},
		{"no newline at the end", strings.TrimSuffix(good, "\n"), 1, 0, "", ""},
		{"torn last line", good + good[:40], 1, 1, "torn_line", "runs.jsonl:2"},
		{"broken in the middle", good + "{\"oops\n" + decodeLine(0, 1, "ok", 11), 2, 1, "broken_line", "runs.jsonl:2"},
		{"not an object", good + "[1,2]\n" + decodeLine(0, 1, "ok", 11), 2, 1, "broken_line", "runs.jsonl:2"},
		{"not a record", good + "{\"a\":1}\n", 1, 1, "broken_line", "runs.jsonl:2"},
		{"blank lines", good + "\n  \n" + decodeLine(0, 1, "ok", 11), 2, 0, "", ""},
		{"wrong type", strings.Replace(good, `"n_layer":0`, `"n_layer":"two"`, 1), 1, 0, "bad_field", "runs.jsonl:1"},
		{"null bytes", good + strings.Repeat("\x00", 100) + "\n", 1, 1, "broken_line", "runs.jsonl:2"},
		{"empty", "", 0, 0, "no_records", "runs.jsonl"},
		{"repeated", good + good, 1, 0, "duplicate_records", "runs.jsonl"},
		{"newer", strings.Replace(good, `"schema_version":1`, `"schema_version":99`, 1), 1, 0, "newer_schema", "runs.jsonl:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := mustLoad(t, writeRun(t, "{}", c.lines))
			if len(run.Rows) != c.records || run.Counts.Broken != c.broken {
				t.Errorf("%d records, %d broken; want %d, %d", len(run.Rows), run.Counts.Broken, c.records, c.broken)
			}
			if c.code == "" {
				if len(run.Warnings) > 0 {
					t.Errorf("warnings %+v", run.Warnings)
				}
				return
			}
			i := slices.IndexFunc(run.Warnings, func(w finding.Warning) bool { return w.Code == c.code })
			if i < 0 || run.Warnings[i].Where != c.where || run.Warnings[i].Advice == "" {
				t.Errorf("warnings %+v, want %s at %s", run.Warnings, c.code, c.where)
			}
			if _, err := Analyze(run, cells.Options{}); err != nil {
				t.Error(err)
			}
		})
	}

	many := mustLoad(t, writeRun(t, "{}", good+strings.Repeat("x\n", 1000)))
	if many.Counts.Broken != 1000 || len(many.Warnings) != runs.MaxBrokenWarnings+1 {
		t.Errorf("%d broken, %d warnings", many.Counts.Broken, len(many.Warnings))
	}
}

func TestLoadErrors(t *testing.T) {
	if _, err := runs.Load(filepath.Join(t.TempDir(), "nowhere")); err == nil || !strings.Contains(err.Error(), "no run folder") {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := runs.Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a run folder") {
		t.Errorf("empty folder: %v", err)
	}
	run := mustLoad(t, writeRun(t, "", decodeLine(0, 0, "ok", 1)))
	if !slices.Contains(celltest.Codes(run.Warnings), "no_manifest") {
		t.Errorf("no manifest: %+v", run.Warnings)
	}
	run = mustLoad(t, writeRun(t, "{ torn", decodeLine(0, 0, "ok", 1)))
	if !slices.Contains(celltest.Codes(run.Warnings), "no_manifest") || !run.Manifest.Empty() {
		t.Errorf("torn manifest: %+v", run.Warnings)
	}
	if _, err := Analyze(run, cells.Options{XAxis: "size"}); err == nil || !strings.Contains(err.Error(), "params_non_embedding") {
		t.Errorf("unknown axis: %v", err)
	}
}

// TestResume: an ok record wins over a failed one, the latest session over
// earlier ones.
func TestResume(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		want        []float64 // latencies kept
		failed      int
		superseded  int
	}{
		{"failed, then ok", decodeLine(0, 0, "crashed", 0) + decodeLine(1, 0, "ok", 7), []float64{7}, 0, 1},
		{"ok, then failed", decodeLine(0, 0, "ok", 6) + decodeLine(1, 0, "crashed", 0), []float64{6}, 0, 1},
		{"ok twice", decodeLine(0, 0, "ok", 6) + decodeLine(1, 0, "ok", 7), []float64{7}, 0, 1},
		{"failed twice", decodeLine(0, 0, "crashed", 0) + decodeLine(1, 0, "oom", 0), nil, 1, 1},
		{"other repetitions", decodeLine(0, 0, "ok", 6) + decodeLine(0, 1, "crashed", 0) + decodeLine(1, 1, "ok", 8), []float64{6, 8}, 0, 1},
		{"still failing", decodeLine(0, 0, "ok", 6) + decodeLine(0, 1, "crashed", 0), []float64{6}, 1, 0},
		{"warm-up failed, later ok",
			strings.Replace(strings.Replace(decodeLine(0, 0, "crashed", 0), `"rep":0`, `"rep":null`, 1), `"is_warmup":false,"warmup_idx":null`, `"is_warmup":true,"warmup_idx":0`, 1) + decodeLine(1, 0, "ok", 7),
			[]float64{7}, 0, 1},
		{"failed in another block", decodeLine(0, 0, "crashed", 0) + strings.Replace(decodeLine(1, 0, "ok", 7), `"replicate":0`, `"replicate":3`, 1), []float64{7}, 1, 0},
		{"replicates are no repeats", decodeLine(0, 0, "ok", 6) + strings.Replace(decodeLine(0, 0, "ok", 7), `"replicate":0`, `"replicate":1`, 1), []float64{6, 7}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Analyze(mustLoad(t, writeRun(t, "{}", c.lines)), cells.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var got []float64
			for _, cell := range r.Cells {
				got = append(got, cell.LatenciesMS...)
			}
			if !slices.Equal(got, c.want) || len(Get[failures.Answer](r).Failed) != c.failed || r.Counts.Superseded != c.superseded {
				t.Errorf("latencies %v, %d failed cells, %d superseded; want %v, %d, %d", got, len(Get[failures.Answer](r).Failed), r.Counts.Superseded, c.want, c.failed, c.superseded)
			}
		})
	}
}

// TestIncomplete counts planned repetitions, not lines: final statuses settle a
// cell, and the warm-ups of a resumed run do not stand for repetitions.
func TestIncomplete(t *testing.T) {
	e2e := func(task, session, rep int, status string) string {
		line := strings.Replace(decodeLine(session, rep, status, 1), `"mode":"kv_decode"`, `"mode":"e2e_kv"`, 1)
		return strings.Replace(line, `"task_idx":0`, fmt.Sprintf(`"task_idx":%d,"x":%d`, task, task), 1)
	}
	warmup := func(task, session int) string {
		line := strings.Replace(e2e(task, session, 0, "ok"), `"rep":0`, `"rep":null`, 1)
		return strings.Replace(line, `"is_warmup":false,"warmup_idx":null`, `"is_warmup":true,"warmup_idx":0`, 1)
	}
	whole := e2e(0, 0, 0, "ok") + e2e(0, 0, 1, "ok")
	for _, c := range []struct {
		name, lines string
		want        runs.Repetitions
		missing     int
	}{
		{"whole", whole + e2e(1, 0, 0, "ok") + e2e(1, 0, 1, "ok"), runs.Repetitions{Planned: 4, Measured: 4}, 0},
		{"out of memory", whole + e2e(1, 0, 0, "oom"), runs.Repetitions{Planned: 4, Measured: 2, Final: 2}, 0},
		{"waived", whole + e2e(1, 0, 0, "waived"), runs.Repetitions{Planned: 4, Measured: 2, Final: 2}, 0},
		{"out of memory after a repetition", whole + e2e(1, 0, 0, "ok") + e2e(1, 0, 1, "oom"), runs.Repetitions{Planned: 4, Measured: 3, Final: 1}, 0},
		{"crashed", whole + e2e(1, 0, 0, "ok") + e2e(1, 0, 1, "crashed"), runs.Repetitions{Planned: 4, Measured: 3, Failed: 1}, 0},
		{"crashed, then out of memory", whole + e2e(1, 0, 0, "crashed") + e2e(1, 1, 1, "oom"), runs.Repetitions{Planned: 4, Measured: 2, Final: 2}, 0},
		{"never started", whole, runs.Repetitions{Planned: 4, Measured: 2}, 2},
		{"hidden by warm-ups", whole + warmup(1, 0) + warmup(1, 1) + warmup(1, 2) + e2e(1, 0, 0, "ok"), runs.Repetitions{Planned: 4, Measured: 3}, 1},
		{"measured twice", whole + e2e(1, 0, 0, "ok") + e2e(1, 1, 0, "ok"), runs.Repetitions{Planned: 4, Measured: 3}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := mustLoad(t, writeRun(t, `{"task_count": 2, "repetitions": 2}`, c.lines))
			if n := run.Counts.Repetitions; n == nil || *n != c.want || n.Missing() != c.missing {
				t.Errorf("%+v, want %+v with %d missing", n, c.want, c.missing)
			}
			if got, want := slices.Contains(celltest.Codes(run.Warnings), "incomplete"), c.missing+c.want.Failed > 0; got != want {
				t.Errorf("warned of an incomplete run: %v, want %v", got, want)
			}
		})
	}
	// A block that measures one model again holds its cells alone.
	again := strings.ReplaceAll(whole, `"replicate":0`, `"replicate":1`)
	for lines, want := range map[string]runs.Repetitions{
		whole + again + e2e(1, 0, 0, "ok") + e2e(1, 0, 1, "ok"):                                                        {Planned: 6, Measured: 6},
		whole + e2e(1, 0, 0, "ok") + e2e(1, 0, 1, "ok"):                                                                {Planned: 6, Measured: 4},
		whole + strings.Replace(again, `"status":"ok"`, `"status":"oom"`, 1) + e2e(1, 0, 0, "ok") + e2e(1, 0, 1, "ok"): {Planned: 6, Measured: 5, Final: 1},
	} {
		run := mustLoad(t, writeRun(t, `{"task_count": 2, "repetitions": 2, "replicates": 2, "remeasured": [{"replicate": 1, "models": ["m"], "cells": 1}]}`, lines))
		if n := run.Counts.Repetitions; n == nil || *n != want || slices.Contains(celltest.Codes(run.Warnings), "incomplete") != (n.Missing() > 0) {
			t.Errorf("%+v, want %+v", n, want)
		}
	}
	if run := mustLoad(t, writeRun(t, `{"records_expected": 9}`, whole)); run.Counts.Repetitions != nil || *run.Counts.Expected != 9 || len(run.Warnings) > 0 {
		t.Errorf("without a plan: %+v %+v", run.Counts, run.Warnings)
	}
}

func TestSanitize(t *testing.T) {
	for in, want := range map[string]string{
		`{"a": NaN}`:                          `{"a": null}`,
		`[Infinity,-Infinity]`:                `[null,null]`,
		`{"NaN": "NaN -Infinity 9.0 \" NaN"}`: `{"NaN": "NaN -Infinity 9.0 \" NaN"}`,
		`[9.0,-3.0,9.05,1e5,2.50,10]`:         `[9,-3,9.05,1e5,2.50,10]`,
		`NaN`:                                 `null`,
		`"open`:                               `"open`,
		`"open\`:                              `"open\`,
		`-`:                                   `-`,
		`{"a":1}`:                             `{"a":1}`,
	} {
		if got := string(runs.Sanitize([]byte(in))); got != want {
			t.Errorf("sanitize(%s) = %s, want %s", in, got, want)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte(decodeLine(0, 0, "ok", 10)))
	f.Add([]byte(`{"mode":"prefill","status":"ok","backend":"b","model":"m","latency_ms":NaN,"token_ns":[1,2]}`))
	f.Add([]byte(`"\`))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := slices.Clone(data)
		row, _, err := runs.ParseRow(data)
		if !slices.Equal(in, data) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		row.Line = 1
		run := &runs.Run{Harness: runs.HarnessTR121, Rows: []runs.Row{row}}
		r, err := Analyze(run, cells.Options{Bootstrap: 5})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}

func TestManifest(t *testing.T) {
	m, err := runs.ParseManifest([]byte(`{"run_id":"x","argv":["a","b"],"n":3.0,"f":2.5,"nan":NaN,"deep":{"er":{"v":[1]}}, "novel": {"k": true}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ got, want string }{
		{m.Text("run_id"), "x"}, {m.Text("argv"), "a b"}, {m.Text("n"), "3"}, {m.Text("nan"), ""}, {m.Text("absent"), ""},
		{m.Text("deep", "er", "v"), "[1]"}, {m.Text("run_id", "below"), ""}, {m.Text("novel"), `{"k": true}`},
		{fmt.Sprint(m.Int("f") == nil, *m.Int("n")), "true 3"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var again runs.Manifest
	if err := json.Unmarshal(data, &again); err != nil || again.Text("novel") != `{"k":true}` {
		t.Errorf("%s: %v", data, err)
	}
}

// What was seen while a run ran is told with its figures.
func TestLoadKeepsTheRunsWarnings(t *testing.T) {
	want := finding.Warning{Code: "threads", Where: "m/b", Text: "2 of 4", Advice: "unset it"}
	dir := writeRun(t, `{"warnings":[{"code":"threads","where":"m/b","text":"2 of 4","advice":"unset it"}]}`, decodeLine(0, 0, "ok", 10))
	run := mustLoad(t, dir)
	if !slices.Contains(run.Warnings, want) {
		t.Errorf("the run's warnings are %+v", run.Warnings)
	}
	r, err := Analyze(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(r.Warnings, want) {
		t.Errorf("the analysis's warnings are %+v", r.Warnings)
	}
	// A manifest that has something else under that name says nothing.
	for _, odd := range []string{`"none"`, `[1]`, `null`, `{}`} {
		dir := writeRun(t, `{"warnings":`+odd+`}`, decodeLine(0, 0, "ok", 10))
		if run := mustLoad(t, dir); len(run.Warnings) != 0 {
			t.Errorf("of warnings %s came %+v", odd, run.Warnings)
		}
	}
}

// Records of before threads were counted have what was asked for as n_threads; later ones have both, and a server's have
// what was asked for alone.
func TestThreadsOfARecord(t *testing.T) {
	for _, c := range []struct {
		facts         string
		decode, batch int
	}{
		{`"n_threads":2,"n_threads_batch":4`, 2, 4},
		{`"n_threads":1,"n_threads_batch":3,"n_threads_asked":2,"n_threads_batch_asked":4`, 1, 3},
		{`"n_threads":null,"n_threads_batch":null,"n_threads_asked":2,"n_threads_batch_asked":4`, 2, 4},
	} {
		row, bad, err := runs.ParseRow([]byte(`{"backend":"b","model":"m","mode":"prefill","status":"ok",` + c.facts + `}`))
		if err != nil || bad != "" {
			t.Fatal(err, bad)
		}
		if row.Threads() != c.decode || row.ThreadsBatch() != c.batch {
			t.Errorf("%s: %d and %d, want %d and %d", c.facts, row.Threads(), row.ThreadsBatch(), c.decode, c.batch)
		}
	}
}

// A failed load knows what was asked for alone: the model's threads are those that computed.
func TestThreadsOfAModel(t *testing.T) {
	failed := strings.Replace(decodeLine(0, 0, "error", 0), `"n_threads_asked":0`, `"n_threads_asked":2`, 1)
	good := strings.Replace(decodeLine(1, 1, "ok", 10), `"n_threads":null`, `"n_threads":1`, 1)
	run := mustLoad(t, writeRun(t, "", failed+good))
	r, err := Analyze(run, cells.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Models) != 1 || r.Models[0].Threads != 1 {
		t.Errorf("models %+v", r.Models)
	}
}
