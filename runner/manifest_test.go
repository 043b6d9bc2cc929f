package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/runner/record"
	"llmscale/runner/store"
	"llmscale/runner/workertest"
)

// TestMachine: records name the machine, and the manifest has its facts; a session on another node adds that one.
func TestMachine(t *testing.T) {
	for names, want := range map[string]string{"hashed": record.HashedNode("node-7"), "plain": "node-7"} {
		t.Setenv("SLURMD_NODENAME", "node-7")
		r, dir := newRun(t, testPlan(t, "node_names: "+names+"\n"+testConfig), workertest.Command(t, ""))
		finish(t, r)
		m, err := ReadManifest(dir)
		if err != nil || len(m.Machines) != 1 {
			t.Fatalf("%+v, %v", m.Machines, err)
		}
		for _, rec := range readRecords(t, dir) {
			if here := m.Machines[*rec.MachineID]; here.Node != want || here.ID() != *rec.MachineID || here.CPU != m.Environment.CPU {
				t.Fatalf("%s: %+v, want node %s", *rec.MachineID, here, want)
			}
		}
	}
	a := record.Machine{CPU: "x", Cores: 2, GPUs: []string{"g"}, Node: "a-1"}
	b := a
	if b.Node = "b"; record.MachineType(a.ID()) != record.MachineType(b.ID()) || a.ID() == b.ID() || !strings.HasSuffix(a.ID(), "-a-1") {
		t.Errorf("%s and %s are nodes of one type", a.ID(), b.ID())
	}
	if b.GPUs = []string{"h"}; record.MachineType(a.ID()) == record.MachineType(b.ID()) {
		t.Errorf("%s and %s have other GPUs", a.ID(), b.ID())
	}
}

// TestManifestOfAnotherVersion: what a manifest holds that this version does not know is written back, and a field of
// another form stands in nobody's way, but for the overrides, without which the plan would be another.
func TestManifestOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, store.ManifestFile)
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"run_id": "old", "novel": {"seed": 9223372036854775807}, "model_files": {"of": "another form"}, "seed": "42", "resolved": {"n": 9223372036854775807}}`)
	m, err := ReadManifest(dir)
	if err != nil || m.RunID != "old" || m.Seed != "42" || m.ModelFiles != nil || m.ConfigDir != nil {
		t.Fatalf("%+v, %v", m, err)
	}
	s, err := store.Create(filepath.Join(dir, "run"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := m.Write(s); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "run", store.ManifestFile))
	if err != nil || strings.Count(string(data), "9223372036854775807") != 2 || strings.Contains(string(data), "config_dir") {
		t.Errorf("%v:\n%s", err, data)
	}
	put(`{"overrides": ["a"]}`)
	if m, err = ReadManifest(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := m.config(dir, testModels()); err == nil || !strings.Contains(err.Error(), "overrides: ") {
		t.Errorf("overrides of another form: %v", err)
	}
	for _, text := range []string{"", "{", "[]", "null", `"a"`} {
		put(text)
		if m, err := ReadManifest(dir); err == nil {
			t.Errorf("%q is read as %+v", text, m)
		}
	}
}
