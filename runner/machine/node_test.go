package machine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestGPUs reads what NVIDIA's drivers of both kinds tell in /proc.
func TestGPUs(t *testing.T) {
	for version, want := range map[string]string{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\nGCC version:  gcc version 12.3.0\n":                               "550.54.14",
		"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86  Release Build  (dvs-builder@U16-I1-N07-12-3)  Mon Jan 13\nGCC version:  gcc version 13\n": "570.86",
		"": "",
	} {
		root := t.TempDir()
		for i, card := range []string{"0000:02:00.0", "0000:01:00.0"} {
			dir := filepath.Join(root, "gpus", card)
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			text := "Model: \t\t " + []string{"NVIDIA L4", "NVIDIA H200"}[i] + "\nIRQ:   \t\t 43\nGPU UUID: \t GPU-1\n"
			if err := os.WriteFile(filepath.Join(dir, "information"), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(root, "version"), []byte(version), 0o666); err != nil {
			t.Fatal(err)
		}
		if names, driver := gpusOf(root); driver != want || !slices.Equal(names, []string{"NVIDIA H200", "NVIDIA L4"}) {
			t.Errorf("%q: %q, %v", version, driver, names)
		}
	}
	if names, driver := gpusOf(t.TempDir()); names != nil || driver != "" {
		t.Errorf("without a driver: %v, %q", names, driver)
	}
}

// TestNominalMemory: what kernels leave of a size of memory gives that size.
func TestNominalMemory(t *testing.T) {
	for _, c := range []struct {
		gib  float64
		want float64
	}{{3.83, 4}, {7.67, 8}, {15.4, 16}, {31.2, 32}, {62.7, 64}, {125.6, 128}, {251.5, 256}, {376.4, 384}, {503.3, 512}, {755.3, 768}, {1007.5, 1024}, {2015, 2048}, {16, 16}, {0, 0}} {
		if got := NominalMemoryGiB(int64(c.gib * (1 << 30))); got != c.want {
			t.Errorf("%g GiB: %g, want %g", c.gib, got, c.want)
		}
	}
}

func TestNode(t *testing.T) {
	t.Setenv("SLURMD_NODENAME", "")
	if host, err := os.Hostname(); err == nil && Node() != host {
		t.Errorf("%q, want %q", Node(), host)
	}
	t.Setenv("SLURMD_NODENAME", "n17")
	if Node() != "n17" || Processors() < 1 {
		t.Errorf("%q, %d processors", Node(), Processors())
	}
}
