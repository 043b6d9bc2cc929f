package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"llmscale/internal/durable"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/store"
	"llmscale/runner/workertest"
)

// TestFullDisk: a run whose disk is full in the middle of a line says so and ends;
// once there is room it goes on, and nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "run")
	if err := os.WriteFile(filepath.Join(root, "test.yaml"), []byte(testConfig), 0o666); err != nil {
		t.Fatal(err)
	}
	p := testPlan(t, testConfig)
	acknowledged := map[string]int{}
	session := func(room int) (stderr string, failed bool) {
		t.Helper()
		cmd := exec.Command(workertest.Program())
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
		data, err := os.ReadFile(filepath.Join(dir, store.RunsFile))
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
	if aside, _ := filepath.Glob(filepath.Join(dir, store.RunsFile+".unfinished-*")); len(aside) < torn {
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

// TestRunWithoutLocks: a run on such a file system is a whole one, which says so once.
func TestRunWithoutLocks(t *testing.T) {
	p := testPlan(t, testConfig)
	r, dir := newRun(t, p, workertest.Command(t, ""))
	if err := r.Store.Discard(); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.Store, err = store.CreateOn(dir, "", durable.Disk{
		Lock: func(*os.File) error { return syscall.ENOTSUP },
		Sync: func(f *os.File) error {
			if info, err := f.Stat(); err != nil || info.IsDir() {
				return errors.Join(err, syscall.EINVAL)
			}
			return nil
		},
	}); err != nil {
		t.Fatal(err)
	}
	if sum := finish(t, r); sum.ByStatus[record.StatusOK] != 12 {
		t.Errorf("%+v", sum)
	}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	kept, notes := m.Warnings, r.Progress.(*quiet).notes
	if len(kept) != 2 || kept[0].Code != "file_system" || kept[0].Where != dir || kept[1].Text == kept[0].Text || len(notes) != 2 {
		t.Errorf("kept %+v, said %q", kept, notes)
	}
}
