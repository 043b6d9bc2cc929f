//go:build native

package backend

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// loaded has a small model loaded, on a machine whose energy counters are those below root.
func loaded(t *testing.T, root string) *Native {
	t.Helper()
	n := &Native{powercap: root}
	t.Cleanup(func() { n.Close() })
	if _, err := n.Load(protocol.LoadSpec{ModelFile: model(t, t.TempDir(), "m", 3), Device: "cpu", Threads: 2, NCtx: 512, NBatch: 512, NUBatch: 512, KVType: "f16", FlashAttn: "auto"}, nil); err != nil {
		t.Fatal(err)
	}
	return n
}

// A made-up counter of 1 W stands in for the processors': what is tested is which readings make a phase's energy.
func TestEnergyOfPhases(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "intel-rapl:0")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"name": "package-0\n", "max_energy_range_uj": "262143328850\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	counter, err := os.Create(filepath.Join(dir, "energy_uj"))
	if err != nil {
		t.Fatal(err)
	}
	defer counter.Close()
	began := time.Now()
	count := func() {
		fmt.Fprintf(counter, "%015d\n", time.Since(began).Microseconds())
		counter.Seek(0, 0)
	}
	count()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
				count()
			}
		}
	}()
	defer func() { close(stop); <-stopped }()

	n := loaded(t, root)
	s, err := n.Measure(protocol.CallSpec{PromptTokens: 200, Seed: 1, GenTokens: 200})
	if err != nil {
		t.Fatal(err)
	}
	prefill, decode, whole := s.Windows[record.ModePrefill], s.Windows[record.ModeDecode], s.Windows[record.ModeE2E]
	for mode, w := range s.Windows {
		if w.EnergyJ == nil {
			if w.Missing["energy_j"] == "" {
				t.Errorf("%s: no energy, and no reason", mode)
			}
		} else if *w.EnergyJ < 0 || w.EnergyUncertaintyJ == nil {
			t.Errorf("%s: energy %v J, uncertainty %v", mode, *w.EnergyJ, w.EnergyUncertaintyJ)
		}
	}
	if decode.EnergyJ == nil || *decode.EnergyJ == 0 || whole.EnergyJ == nil {
		t.Fatalf("200 steps: decode's energy %v, of the whole %v", decode.EnergyJ, whole.EnergyJ)
	}
	if prefill.EnergyJ != nil && math.Abs(*prefill.EnergyJ+*decode.EnergyJ-*whole.EnergyJ) > 1e-9 {
		t.Errorf("prefill %g + decode %g J are not the whole's %g", *prefill.EnergyJ, *decode.EnergyJ, *whole.EnergyJ)
	}
}

func TestNoEnergyCounter(t *testing.T) {
	n := loaded(t, t.TempDir())
	s, err := n.Measure(protocol.CallSpec{PromptTokens: 4, Seed: 1, GenTokens: 4})
	if err != nil {
		t.Fatal(err)
	}
	if s.Missing["energy_j"] == "" || s.Windows != nil {
		t.Errorf("without a counter: reason %q, windows %v", s.Missing["energy_j"], s.Windows)
	}
}
