package profiler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/analysis/profile"
	"llmscale/cuda/cupti"
	"llmscale/native"
	"llmscale/runner/files"
	"llmscale/runner/protocol"
)

// TestInputOfRecords: what CUPTI recorded is what the profile counts, in the windows of the trace's steps.
func TestInputOfRecords(t *testing.T) {
	trace := &native.Trace{Steps: []native.TraceStep{{StartNS: 1000, EndNS: 2000, Tokens: 8}, {StartNS: 3000, EndNS: 4000, Tokens: 1}}}
	in := inputOfRecords(trace, &cupti.Records{
		Activities: []cupti.Activity{
			{Kind: cupti.Kernel, Name: "gemm", StartNS: 1100, EndNS: 1500, Stream: 7, Grid: [3]int{4, 1, 1}, Registers: 32},
			{Kind: cupti.Memcpy, Copy: "host to device", StartNS: 3000, EndNS: 3100, Stream: 7, Bytes: 4},
			{Kind: cupti.Kernel, Name: "matvec", StartNS: 3200, EndNS: 3600, Stream: 7, Graph: 2, GraphNode: 9},
			{Kind: cupti.Memset, StartNS: 3700, EndNS: 3800, Stream: 8, Bytes: 64},
		},
		Dropped: 1, Untimed: 2, ClockErrorNS: 3,
	})
	p, err := profile.New(in)
	if err != nil {
		t.Fatal(err)
	}
	if p.DroppedRecords != 1 || p.UntimedRecords != 2 || p.ClockErrorNS != 3 || p.Complete {
		t.Errorf("%+v", p)
	}
	dec := p.Phases[1]
	if len(dec.Rows) != 1 || dec.Rows[0].Name != "matvec" || len(dec.Copies) != 2 || dec.Copies[0].Name+dec.Copies[1].Name != "host to device" {
		t.Errorf("decode's kernels %+v and copies %+v", dec.Rows, dec.Copies)
	}
	if d := in.Activities[2].Details; d["graph_node"] != uint64(9) || d["registers_per_thread"] != 0 {
		t.Errorf("a graph's kernel: %v", d)
	}
	if _, in := in.Activities[0].Details["graph_node"]; in {
		t.Error("a kernel outside any graph has a node")
	}
}

// A profile is of the file that was hashed, as a measurement is.
func TestProfileIsOfTheHashedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, []byte("GGUF"), 0o666); err != nil {
		t.Fatal(err)
	}
	task := Task{Load: protocol.LoadSpec{ModelFile: path, Files: []files.ID{{Path: path, Inode: 1, Size: 4}}}}
	if _, err := do(&task); err == nil || !strings.Contains(err.Error(), path+" was replaced") {
		t.Errorf("%v", err)
	}
}
