package runner

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/workertest"
)

// aCall makes the records of one call.
func aCall(task, rep int) []record.Record {
	return inModes(record.Record{Origin: record.Origin{TaskIdx: task, CellID: "m/b/s"}, Outcome: record.Outcome{Rep: &rep, Status: record.StatusOK}})
}

func newStore(t *testing.T) (*Store, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	s, err := CreateStore(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.WriteManifest(&Manifest{RunID: "x"}); err != nil {
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
		again, err := OpenStore(dir)
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
		if n := len(parseRecords(t, data)); n != len(records)+3 {
			t.Fatalf("cut at %d: %d records after one more call", cut, n)
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
	again, err := OpenStore(dir)
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

// TestFullDisk: a run whose disk is full in the middle of a line says so and ends;
// once there is room it goes on, and nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "run")
	if err := os.WriteFile(filepath.Join(root, "test.yaml"), []byte(testConfig), 0o666); err != nil {
		t.Fatal(err)
	}
	p := testPlan(t, testConfig)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]int{}
	session := func(room int) (stderr string, failed bool) {
		t.Helper()
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), workertest.EnvPart+"=coordinator", workertest.EnvRun+"="+dir, fmt.Sprintf("%s=%d", envRoom, room))
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		for line := range strings.Lines(out.String()) {
			acknowledged[strings.TrimSpace(line)]++
		}
		return errs.String(), err != nil
	}
	torn := 0
	for _, room := range []int{60_000, 60_007, 90_000} {
		stderr, failed := session(room)
		if !failed || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "writing runs.jsonl: ") || !strings.Contains(stderr, "file too large") {
			t.Errorf("with room for %d bytes: failed %v, %q", room, failed, stderr)
		}
		data, err := os.ReadFile(filepath.Join(dir, RunsFile))
		if err != nil || len(data) != room {
			t.Errorf("%d bytes, want the file to be as full as it can be: %d (%v)", len(data), room, err)
		}
		if data[len(data)-1] != '\n' {
			torn++
		}
		checkAcknowledged(t, dir, acknowledged)
	}
	if torn == 0 || len(acknowledged) == 0 {
		t.Errorf("the test is too weak: %d torn lines, %d calls acknowledged", torn, len(acknowledged))
	}
	if stderr, failed := session(1 << 30); failed {
		t.Fatal(stderr)
	}
	checkAcknowledged(t, dir, acknowledged)
	checkComplete(t, p, readRecords(t, dir))
	if aside, _ := filepath.Glob(filepath.Join(dir, RunsFile+".unfinished-*")); len(aside) < torn {
		t.Errorf("%d files of what was torn, want %d at least", len(aside), torn)
	}
}

// TestSeedSurvivesJSON keeps a prompt's seed whole in readers that have only
// float64.
func TestSeedSurvivesJSON(t *testing.T) {
	for call := range 1000 {
		seed := protocol.PromptSeed(42, "s", call)
		data, err := json.Marshal(seed)
		if err != nil {
			t.Fatal(err)
		}
		var f float64
		if err := json.Unmarshal(data, &f); err != nil || int64(f) != seed {
			t.Fatalf("seed %d reads as %v (%v)", seed, f, err)
		}
	}
}
