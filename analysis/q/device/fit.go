package device

import (
	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Fit is the scaling of decode by both clocks, over the models that have
// device times in every scenario.
type Fit struct {
	cells.Series
	Mode   string      `json:"mode" doc:"kv_decode"`
	Host   scaling.Fit `json:"host"`
	Device scaling.Fit `json:"device"`
}

// fit fits decode by the device's clock, and by the host's over the same
// models, so that the two exponents differ in nothing but the clock.
func (a *Answer) fit() {
	times := map[cells.Key]*Cell{}
	for i := range a.Cells {
		d := &a.Cells[i]
		times[d.Series().Key(d.Model, d.Scenario, d.Mode)] = d
	}
	for _, s := range a.set.Series {
		whole := a.set.WholeSet(s, record.ModeDecode)
		var host, device []scaling.Point
		for _, m := range a.set.ModelsOf(s.Backend) {
			x, ok := a.set.X(m)
			var h, d []float64
			for _, sc := range whole {
				if c := times[s.Key(m.Name, sc, record.ModeDecode)]; c != nil && c.DeviceMS != nil && *c.DeviceMS > 0 {
					h, d = append(h, c.HostMS), append(d, *c.DeviceMS)
				}
			}
			if ok && len(h) > 0 && len(h) == len(whole) {
				host, device = append(host, scaling.Point{Model: m.Name, X: x, Y: stats.Geomean(h)}), append(device, scaling.Point{Model: m.Name, X: x, Y: stats.Geomean(d)})
			}
		}
		if len(host) == 0 {
			continue
		}
		fit := func(points []scaling.Point) scaling.Fit {
			f := scaling.Fit{Subject: scaling.Subject{Series: s, Mode: record.ModeDecode, Scenario: cells.AllScenarios}, Aggregation: scaling.AggGeomean, Axis: a.set.Axis.Name}
			scaling.FitLogLog(&f, points, a.set.Opt)
			return f
		}
		a.Fits = append(a.Fits, Fit{Series: s, Mode: record.ModeDecode, Host: fit(host), Device: fit(device)})
	}
}

// fitTable has the exponents by both clocks.
func (a *Answer) fitTable() finding.Table {
	column := func(name, doc string, of func(Fit) any) finding.Computed[Fit] {
		return finding.Compute(name, "", doc, of)
	}
	end := func(ci *stats.Interval, high bool) *float64 {
		switch {
		case ci == nil:
			return nil
		case high:
			return &ci.High
		}
		return &ci.Low
	}
	return finding.TableOf("device_fits.csv", "Scaling of decode by the host's clock and by the device's, over the same models and all scenarios.", a.Fits,
		"backend batch_size mode x_axis n_models host_slope host_slope_t_low host_slope_t_high device_slope device_slope_t_low device_slope_t_high reason",
		column("x_axis", "what stands for size", func(f Fit) any { return f.Host.Axis }),
		column("n_models", "models with device times in every scenario", func(f Fit) any { return f.Host.NModels }),
		column("host_slope", "exponent by the host's clock", func(f Fit) any { return f.Host.Slope }),
		column("host_slope_t_low", "95 % t-interval of it, lower end", func(f Fit) any { return end(f.Host.SlopeT, false) }),
		column("host_slope_t_high", "95 % t-interval of it, upper end", func(f Fit) any { return end(f.Host.SlopeT, true) }),
		column("device_slope", "exponent by CUDA events", func(f Fit) any { return f.Device.Slope }),
		column("device_slope_t_low", "95 % t-interval of it, lower end", func(f Fit) any { return end(f.Device.SlopeT, false) }),
		column("device_slope_t_high", "95 % t-interval of it, upper end", func(f Fit) any { return end(f.Device.SlopeT, true) }),
		column("reason", "why there is no exponent", func(f Fit) any { return f.Host.Reason }))
}
