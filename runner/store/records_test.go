package store

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/runner/record"
)

// aCall makes the records of one call.
func aCall(task, rep int) []record.Record {
	out := make([]record.Record, len(record.Modes))
	for i, mode := range record.Modes {
		out[i] = record.Record{Origin: record.Origin{TaskIdx: task, CellID: "m/b/s"}, Outcome: record.Outcome{Rep: &rep, Status: record.StatusOK}}
		out[i].Mode = mode
	}
	return out
}

func newStore(t *testing.T) (*Folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	s, err := Create(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.WriteFile(ManifestFile, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// TestRecover cuts runs.jsonl at every byte: what was complete must come back,
// what was not must be moved aside, byte for byte.
func TestRecover(t *testing.T) {
	s, dir := newStore(t)
	for rep := range 3 {
		if err := s.Append(aCall(0, rep)); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	path := filepath.Join(dir, RunsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	call := len(whole) / 3
	for cut := 0; cut <= len(whole); cut += 1 + len(whole)/200 {
		if err := os.WriteFile(path, whole[:cut], 0o666); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		records, err := again.Recover()
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if want := cut / call * 3; len(records) != want {
			t.Fatalf("cut at %d of %d: %d records, want %d", cut, len(whole), len(records), want)
		}
		if err := again.Append(aCall(0, 9)); err != nil {
			t.Fatal(err)
		}
		again.Close()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		if len(lines) != len(records)+3 {
			t.Fatalf("cut at %d: %d records after one more call", cut, len(lines))
		}
		for i, line := range lines {
			if err := json.Unmarshal([]byte(line), &record.Record{}); err != nil {
				t.Fatalf("cut at %d: line %d: %v", cut, i+1, err)
			}
		}
		aside, _ := filepath.Glob(path + ".unfinished-*")
		kept := ""
		for _, name := range aside {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			kept += string(data)
			os.Remove(name)
		}
		if want := string(whole[cut/call*call : cut]); kept != want {
			t.Fatalf("cut at %d: %d bytes moved aside, want %d", cut, len(kept), len(want))
		}
	}
}

// TestBrokenLine: what no crash leaves is told with its place, and nothing is cut off.
func TestBrokenLine(t *testing.T) {
	s, dir := newStore(t)
	if err := s.Append(aCall(0, 0)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	path := filepath.Join(dir, RunsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	text := lines[0] + "{broken\n" + lines[1] + lines[2]
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Recover(); err == nil || !strings.Contains(err.Error(), RunsFile+":2:") {
		t.Errorf("a broken line in the middle: %v, want its line number", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != text {
		t.Errorf("the file was changed: %v", err)
	}
}
