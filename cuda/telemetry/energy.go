package telemetry

import (
	"fmt"
	"sort"
)

// leastTicks is how many ticks of the energy counter must lie inside a window for its energy to be told.
// With three, the ends, each known to one tick, make up at most two thirds of it; the uncertainty beside
// the value says how much.
const leastTicks = 3

// The energy counter grows in steps: between two ticks it stands still, and at a tick it takes in what was
// used since the last. Polling sees a tick as two samples with different values; it happened between them.
type tick struct {
	fromNS, toNS int64  // the last sample with the old value and the first with the new
	mj           uint64 // the new value
}

// atNS is the moment that is taken for the tick: the middle of the samples around it.
func (t tick) atNS() int64 { return t.fromNS + (t.toNS-t.fromNS)/2 }

// counter is the energy counter as a series of samples saw it, between two loadings of the driver.
type counter struct {
	samples []Sample // with a known reading
	ticks   []tick
}

// readCounter takes the part of the series in which the counter never goes back and which holds all of the
// window from startNS to endNS. Where there is no such part, as the driver was loaded anew within the
// window, it returns the time at which that was seen.
func readCounter(all []Sample, startNS, endNS int64) (c counter, backNS int64, back bool) {
	for _, s := range all {
		if !s.EnergyMJ.Known {
			continue
		}
		if n := len(c.samples); n > 0 {
			last := c.samples[n-1]
			switch now, old := s.EnergyMJ.Value, last.EnergyMJ.Value; {
			case now < old && s.AtNS <= startNS:
				c = counter{}
			case now < old && last.AtNS >= endNS:
				return c, 0, false
			case now < old:
				return c, s.AtNS, true
			case now > old:
				c.ticks = append(c.ticks, tick{last.AtNS, s.AtNS, now})
			}
		}
		c.samples = append(c.samples, s)
	}
	return c, 0, false
}

// tickMS is the median time between ticks; nil for fewer than three.
func (c counter) tickMS() *float64 {
	if len(c.ticks) < 3 {
		return nil
	}
	gaps := make([]float64, 0, len(c.ticks)-1)
	for i := 1; i < len(c.ticks); i++ {
		gaps = append(gaps, float64(c.ticks[i].atNS()-c.ticks[i-1].atNS())/1e6)
	}
	return median(gaps)
}

// used bounds what the card had used up to t, in mJ on the counter's scale. The least is the value of the
// last sample up to t: that much was counted already. The most is the value at the first tick that surely
// came after t: by then all that was used up to t is counted. The estimate is the straight line between
// the ticks on both sides, which is exact where the power was steady between them. ok is false where the
// series does not reach one tick to either side of t.
func (c counter) used(t int64) (least, estimate, most float64, ok bool) {
	i := sort.Search(len(c.samples), func(i int) bool { return c.samples[i].AtNS > t })
	j := sort.Search(len(c.ticks), func(j int) bool { return c.ticks[j].fromNS >= t })
	k := sort.Search(len(c.ticks), func(k int) bool { return c.ticks[k].atNS() > t })
	if i == 0 || j == len(c.ticks) || k == 0 || k == len(c.ticks) {
		return 0, 0, 0, false
	}
	least, most = float64(c.samples[i-1].EnergyMJ.Value), float64(c.ticks[j].mj)
	a, b := c.ticks[k-1], c.ticks[k]
	f := float64(t-a.atNS()) / float64(b.atNS()-a.atNS())
	estimate = float64(a.mj) + f*(float64(b.mj)-float64(a.mj))
	return least, min(max(estimate, least), most), most, true
}

// energy fills in what the counter tells of the window. With the bounds of used at both ends,
//
//	energy      = estimate(end) - estimate(start)
//	least, most = least(end) - most(start), most(end) - least(start)
//	uncertainty = max(most - energy, energy - least)
//
// so that the counter's true value lies within the uncertainty whatever the power did between ticks. It is
// one to two ticks times the mean power; at steady power the error is far smaller. It does not hold the
// error of the sensor itself [arXiv 2312.02741].
func (v view) energy(w *Window) {
	null := func(why string) {
		for _, field := range []string{"energy_j", "energy_uncertainty_j", "energy_power_w"} {
			w.NullReasons[field] = why
		}
	}
	c, backNS, back := readCounter(v.series.Samples, v.startNS, v.endNS)
	w.EnergyTickMS = c.tickMS()
	if w.EnergyTickMS == nil {
		w.NullReasons["energy_tick_ms"] = fmt.Sprintf("the energy counter ticked %d times while it was sampled, 3 are needed", len(c.ticks))
	}
	for _, t := range c.ticks {
		if at := t.atNS(); at >= v.startNS && at <= v.endNS {
			w.EnergyTicks++
		}
	}
	if len(c.samples) == 0 {
		null(v.missing(readEnergy))
		w.NullReasons["energy_tick_ms"] = w.NullReasons["energy_j"]
		return
	}
	if back {
		null(fmt.Sprintf("the energy counter went backwards, as it does when the driver is loaded anew; seen %.3g s after the window's start", float64(backNS-v.startNS)/1e9))
		return
	}
	if w.EnergyTicks < leastTicks {
		null(fmt.Sprintf("the window of %.3g s holds %d ticks of the energy counter, %d are needed", w.DurationS, w.EnergyTicks, leastTicks))
		return
	}
	least0, from, most0, ok := c.used(v.startNS)
	if !ok {
		why := "sampling began less than a tick of the energy counter before the window: start the sampler 0.2 s earlier"
		if s := v.series; s.Dropped > 0 && v.startNS <= s.DroppedToNS {
			why = v.missing(readEnergy)
		}
		null(why)
		return
	}
	least1, to, most1, ok := c.used(v.endNS)
	if !ok {
		why := "sampling ended before the energy counter's next tick after the window: let the sampler run 0.2 s longer"
		if v.series.Ended != "" {
			why = v.series.Ended
		}
		null(why)
		return
	}
	joule := (to - from) / 1000
	uncertainty := max(most1-least0-(to-from), (to-from)-(least1-most0)) / 1000
	w.EnergyJ, w.EnergyUncertaintyJ = &joule, &uncertainty
	if w.DurationS > 0 {
		power := joule / w.DurationS
		w.EnergyPowerW = &power
	}
}
