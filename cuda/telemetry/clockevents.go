package telemetry

import (
	"fmt"
	"math/bits"
)

// Effect is what a clock event means for a measurement taken under it.
type Effect string

// Effects, from none to worst.
const (
	// Harmless: the time is what the card does.
	Harmless Effect = "harmless"
	// Qualifies: the time holds for this setting or this limit only. It may be compared with others taken
	// under the same one.
	Qualifies Effect = "qualifies"
	// Spoils: something outside the measured work held the clocks down, or the card's state will not come
	// again; the time is not a property of the work.
	Spoils Effect = "spoils"
)

// ClockEvent is one bit of NVML's clocks event reasons (until driver R535 "throttle reasons"): why the
// clocks are below their maximum.
type ClockEvent struct {
	Bit     uint64 `json:"bit"`
	Name    string `json:"name"` // as nvidia-smi's clocks_event_reasons.NAME
	Effect  Effect `json:"effect"`
	Meaning string `json:"meaning"`
}

// clockEvents follows nvml.h of API version 13, group nvmlClocksEventReasons. The meanings are its
// comments in short, the effects are this project's judgement.
var clockEvents = []ClockEvent{
	{0x001, "gpu_idle", Harmless, "nothing runs on the GPU and its clocks go down"},
	{0x002, "applications_clocks_setting", Qualifies, "somebody set the application clocks"},
	{0x004, "sw_power_cap", Qualifies, "clocks are reduced so that the power limit is kept: the normal state of a fully loaded card, but the time then depends on the limit and on the temperature"},
	{0x008, "hw_slowdown", Spoils, "the hardware halves the clocks or worse: too hot, an external power brake, or too high a power draw; may also show for a moment while the clocks change"},
	{0x010, "sync_boost", Spoils, "the card is in a sync boost group and waits for the slowest of it"},
	{0x020, "sw_thermal_slowdown", Spoils, "clocks are reduced so that GPU or memory stay below their highest operating temperature"},
	{0x040, "hw_thermal_slowdown", Spoils, "the hardware halves the clocks or worse because of the temperature"},
	{0x080, "hw_power_brake_slowdown", Spoils, "the hardware halves the clocks or worse because the power supply asked for it"},
	{0x100, "display_clock_setting", Qualifies, "the display's clocks limit the card's"},
	{0x200, "board_limit", Qualifies, "the board's operating policy limits the clocks"},
	{0x400, "reliability", Qualifies, "the reliability policy limits the clocks"},
}

// ClockEvents lists the known clock events in the order of their bits.
func ClockEvents() []ClockEvent { return append([]ClockEvent(nil), clockEvents...) }

// EventsOf takes a mask apart, lowest bit first. A bit that is not in the table, as a newer driver may
// set, is named by its value and qualifies.
func EventsOf(mask uint64) []ClockEvent {
	events := []ClockEvent{}
	for rest := mask; rest != 0; rest &= rest - 1 {
		if n := bits.TrailingZeros64(rest); n < len(clockEvents) {
			events = append(events, clockEvents[n])
		} else {
			bit := uint64(1) << n
			events = append(events, ClockEvent{bit, fmt.Sprintf("unknown_%#x", bit), Qualifies, "this version of llmscale does not know the reason"})
		}
	}
	return events
}

// EventNames names the events of a mask; of all of them, or of those with one of the effects. No event
// gives an empty list, not nil.
func EventNames(mask uint64, effects ...Effect) []string {
	names := []string{}
	for _, e := range EventsOf(mask) {
		if len(effects) == 0 || has(effects, e.Effect) {
			names = append(names, e.Name)
		}
	}
	return names
}

func has(effects []Effect, e Effect) bool {
	for _, x := range effects {
		if x == e {
			return true
		}
	}
	return false
}
