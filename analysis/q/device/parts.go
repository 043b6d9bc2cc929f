package device

import (
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/runs"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// placement says what the CPU computes. Names are recorded for both graphs
// together; every graph has the lookup, so that more operations than lookups are
// something else.
func (d *Cell) placement(m *cells.Model, rows []*runs.Row) {
	for _, r := range rows {
		splits, ops := r.SplitsDecode, r.CPUOpsDecode
		switch d.Mode {
		case record.ModePrefill:
			splits, ops = r.SplitsPrefill, r.CPUOpsPrefill
		case record.ModeE2E:
			splits, ops = nil, nil
		}
		if r.CPUOpsDecode == nil && r.CPUOpsPrefill == nil {
			continue
		}
		d.Splits, d.CPUOps, d.CPUNames = splits, ops, r.CPUOpNames
		n := max(orZero(r.CPUOpsPrefill), orZero(r.CPUOpsDecode))
		if ops != nil {
			n = *ops
		}
		switch {
		case !m.WholeOnGPU(d.GPULayers):
			d.Placement = PlacedPartial
		case n == 0:
			d.Placement = PlacedWhole
		case n <= opCount(r.CPUOpNames, opLookup):
			d.Placement = PlacedLookup
		default:
			d.Placement = PlacedFallback
		}
		return // the same graphs for all calls of a cell
	}
	if m.NLayer > 0 && !m.WholeOnGPU(d.GPULayers) {
		d.Placement = PlacedPartial
	}
}

func orZero(v *int) int {
	if v == nil {
		return 0
	}
	return *v
}

// opCount reads the count of an operation among "NAME x n".
func opCount(names []string, op string) int {
	for _, s := range names {
		name, n, found := strings.Cut(s, " x ")
		if name != op {
			continue
		}
		if !found {
			return 1
		}
		count, err := strconv.Atoi(n)
		if err == nil {
			return count
		}
	}
	return 0
}

// spoiling are the reasons that spoil figures.
func (d *Cell) spoiling() []string {
	return slices.DeleteFunc(slices.Clone(d.Throttle), func(reason string) bool { return !slices.Contains(spoilingReasons, reason) })
}

func (d *Cell) sensors(rows []*runs.Row) {
	of := func(field func(*record.DeviceWindow) *float64) *float64 {
		return cells.MedianField(rows, func(r *runs.Row) *float64 { return field(r.DeviceWindow) })
	}
	d.PowerW = of(func(w *record.DeviceWindow) *float64 { return w.PowerMeanW })
	d.SMClockMHz = of(func(w *record.DeviceWindow) *float64 { return w.SMClockMedianMHz })
	d.MemClockMHz = of(func(w *record.DeviceWindow) *float64 { return w.MemClockMedianMHz })
	joule, pm, tokens := 0.0, 0.0, 0.0
	for _, r := range rows {
		if v := r.SMClockMinMHz; v != nil && (d.SMClockMinMHz == nil || *v < *d.SMClockMinMHz) {
			d.SMClockMinMHz = v
		}
		d.TemperatureC = stats.Larger(d.TemperatureC, r.TemperatureMaxC)
		if r.EnergyJ != nil && r.EnergyUncertaintyJ != nil && r.TokensTotal != nil && *r.TokensTotal > 0 {
			d.EnergyCalls++
			joule, pm, tokens = joule+*r.EnergyJ, pm+*r.EnergyUncertaintyJ, tokens+float64(*r.TokensTotal)
		}
		if r.ThrottleReasons == nil {
			continue
		}
		if d.Throttle == nil {
			d.Throttle = []string{}
		}
		spoilt := false
		for _, reason := range r.ThrottleReasons {
			spoilt = spoilt || slices.Contains(spoilingReasons, reason)
			if slices.Contains(harmlessReasons, reason) || slices.Contains(d.Throttle, reason) {
				continue
			}
			d.Throttle = append(d.Throttle, reason)
		}
		if spoilt {
			d.ThrottleSpoiltCalls++
		}
	}
	// The counter's uncertainty of a call is a bound, not a deviation: bounds add up.
	// A token of end-to-end would be a mean of prompt and answer, which is neither.
	if tokens > 0 && d.Mode != record.ModeE2E {
		d.JPerToken, d.JPerTokenPM = stats.Finite(joule/tokens), stats.Finite(pm/tokens)
	}
}
