package backend

import (
	"cmp"
	"os"
	"time"

	"llmscale/native"
	"llmscale/runner/machine"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// energyTicks is how many ticks of the energy counter a phase must last for its energy to be told: as on a GPU
// (telemetry.leastTicks), its ends are known to one tick each.
const energyTicks = 3

// openEnergy opens the processors' energy counters; where there are none, noEnergy says why.
func (n *Native) openEnergy() {
	n.energy, n.noEnergy = machine.OpenEnergy(cmp.Or(n.powercap, machine.PowercapRoot))
}

// counters are the files of the energy counters, nil where there are none.
func (n *Native) counters() []*os.File {
	if n.energy == nil {
		return nil
	}
	return n.energy.Files
}

// noteEnergy puts the processors' energy in each phase into a call's sample.
func (n *Native) noteEnergy(s *protocol.Sample, m *native.Measurement) {
	if n.energy == nil {
		s.Miss("energy_j", n.noEnergy.Error())
		return
	}
	s.Windows = map[string]protocol.Window{}
	for mode, phase := range map[string]struct {
		from, to []int64
		ns       int64
	}{
		record.ModePrefill: {m.EnergyUJ[0], m.EnergyUJ[1], m.PrefillEndNS - m.PrefillStartNS},
		record.ModeDecode:  {m.EnergyUJ[1], m.EnergyUJ[2], m.DecodeEndNS - m.DecodeStartNS},
		record.ModeE2E:     {m.EnergyUJ[0], m.EnergyUJ[2], m.DecodeEndNS - m.PrefillStartNS},
	} {
		var w protocol.Window
		joules := n.energy.Joules(phase.from, phase.to)
		switch length := time.Duration(phase.ns); {
		case joules == nil:
			w.Missing = map[string]string{"energy_j": "a processor's energy counter could not be read"}
		case length < energyTicks*machine.EnergyTick:
			w.Missing = map[string]string{"energy_j": "the phase is shorter than three ticks of the energy counter"}
		default:
			w.EnergyJ, w.EnergyUncertaintyJ = joules, ptr(*joules*float64(machine.EnergyTick)/float64(length))
		}
		s.Windows[mode] = w
	}
}
