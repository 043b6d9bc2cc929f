package machine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// zone writes a zone of powercap with a counter.
func zone(t *testing.T, root, dir, name, energy, wrap string) {
	t.Helper()
	dir = filepath.Join(root, dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"name": name, "energy_uj": energy, "max_energy_range_uj": wrap} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnergyOfPackagesAlone(t *testing.T) {
	root := t.TempDir()
	zone(t, root, "intel-rapl:0", "package-0", "1000", "262143328850")
	zone(t, root, "intel-rapl:1", "package-1", "2000", "1000000")
	zone(t, root, "intel-rapl:0:0", "core", "7", "262143328850")
	zone(t, root, "intel-rapl:2", "psys", "7", "262143328850")
	zone(t, root, "intel-rapl-mmio:0", "package-0", "7", "262143328850")
	e, err := OpenEnergy(root)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if len(e.Files) != 2 {
		t.Fatalf("%d counters: want those of the two packages", len(e.Files))
	}
	// The second begins anew: 1,000,000 - 900,000 + 100,000 used.
	if j := e.Joules([]int64{1_000_000, 900_000}, []int64{3_500_000, 100_000}); j == nil || *j != 2.7 {
		t.Errorf("energy %v: want 2.5 + 0.2 J", j)
	}
	if j := e.Joules([]int64{0, -1}, []int64{1, 1}); j != nil {
		t.Errorf("energy %v where a counter could not be read: want none", *j)
	}
}

func TestEnergySaysWhyThereIsNone(t *testing.T) {
	if _, err := OpenEnergy(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no energy counter") {
		t.Errorf("error %v: want that there is none", err)
	}
	root := t.TempDir()
	zone(t, root, "intel-rapl:0", "package-0", "1000", "many")
	if _, err := OpenEnergy(root); err == nil || !strings.Contains(err.Error(), "max_energy_range_uj") {
		t.Errorf("error %v: want it to name max_energy_range_uj", err)
	}
	if err := os.Remove(filepath.Join(root, "intel-rapl:0", "energy_uj")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenEnergy(root); err == nil || !strings.Contains(err.Error(), "energy_uj") {
		t.Errorf("error %v: want it to name energy_uj", err)
	}
}
