package record

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/schema.md")

func TestFieldsAreDeclared(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Fields() {
		if f.Name == "" || f.Doc == "" {
			t.Errorf("%+v: a field needs a json name and a doc", f)
		}
		if seen[f.Name] {
			t.Errorf("%s is declared twice", f.Name)
		}
		seen[f.Name] = true
		// A unit stands in the name where there is one to misread.
		for suffix, unit := range map[string]string{"_ms": "ms", "_ns": "ns", "_mib": "MiB", "_bytes": "B", "_mhz": "MHz", "_w": "W", "_j": "J", "_c": "C", "_gib": "GiB", "_us": "us"} {
			if strings.HasSuffix(f.Name, suffix) && f.Unit != unit {
				t.Errorf("%s has unit %q, its name says %s", f.Name, f.Unit, unit)
			}
		}
	}
	// TR121's fields keep their names (all of a native record's).
	for _, name := range strings.Fields(`task_idx scenario backend backend_kind model model_kind params_millions params_millions_config
		prompt prompt_chars gen_tokens_target batch_size_config call_idx sample_idx is_warmup warmup_idx rep mode status error
		started_at_unix batch_size seq_len prompt_tokens_raw gen_tokens_raw prefill_ms prefill_cuda_event_ms kv_decode_ms
		kv_decode_cuda_event_ms gpu_peak_mb latency_ms cuda_event_ms tokens_total tokens_per_s gen_tokens`) {
		if !seen[name] {
			t.Errorf("TR121's field %s is gone", name)
		}
	}
}

func TestNullIsNotZero(t *testing.T) {
	var r Record
	data, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	if len(m) != len(Fields()) {
		t.Errorf("a record has %d JSON keys, the table %d fields", len(m), len(Fields()))
	}
	for _, f := range Fields() {
		v, ok := m[f.Name]
		if !ok {
			t.Errorf("%s is not in the JSON", f.Name)
		}
		if f.Null && v != nil {
			t.Errorf("%s is %v when nothing was measured, want null", f.Name, v)
		}
		if f.Null && f.Cell(&r) != "" {
			t.Errorf("%s is %q in CSV when nothing was measured, want an empty cell", f.Name, f.Cell(&r))
		}
	}
}

func TestCells(t *testing.T) {
	ms, text := 1.5, "a,b"
	r := Record{Outcome: Outcome{Mode: ModePrefill}, Subject: Subject{Prompt: &text}, Times: Times{LatencyMS: &ms}, Measurement: Measurement{Phases: Phases{TokenNS: []int64{1, 2}}}}
	want := map[string]string{"mode": "prefill", "prompt": "a,b", "latency_ms": "1.5", "token_ns": "[1,2]", "is_warmup": "false", "task_idx": "0"}
	for _, f := range Fields() {
		if w, ok := want[f.Name]; ok && f.Cell(&r) != w {
			t.Errorf("%s is %q, want %q", f.Name, f.Cell(&r), w)
		}
	}
}

// TestSchemaDoc keeps docs/schema.md up to date; -update writes it.
func TestSchemaDoc(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "schema.md")
	if *update {
		if err := os.WriteFile(path, []byte(SchemaMarkdown()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != SchemaMarkdown() {
		t.Errorf("%s is out of date: run go test ./runner/record -update", path)
	}
}
