package ceilings

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"llmscale/internal/text"
)

// WriteTable writes what was measured of a device as tables for people.
func (d *Device) WriteTable(out io.Writer) error {
	head := d.Name
	if d.Threads > 0 {
		head += fmt.Sprintf(", %d threads", d.Threads)
	}
	if d.SMClockMHz != nil {
		head += fmt.Sprintf(", %.0f MHz", *d.SMClockMHz)
	}
	if d.MemClockMHz != nil {
		head += fmt.Sprintf(", memory %.0f MHz", *d.MemClockMHz)
	}
	fmt.Fprintf(out, "%s: %s (%.1f s)\n", d.Kind, head, d.WallS)
	for _, line := range d.Headline() {
		fmt.Fprintln(out, line)
	}

	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(format string, args ...any) { fmt.Fprintf(w, format+"\t\n", args...) }
	section := func(format string) {
		w.Flush() // each table has columns of its own
		fmt.Fprintln(out)
		row("%s", format)
	}
	if len(d.Bandwidth) > 0 {
		section("working set\toperation\tmedian GB/s\tbest GB/s\tspread %\tpasses")
		for _, b := range BestWays(d.Bandwidth) {
			op := b.Op
			if b.Cold {
				op += ", cold"
			}
			row("%s\t%s\t%.4g\t%.4g\t%.1f\t%d", text.Size(b.WorkingSetB), op, b.BytesPerS/1e9, b.BestBytesPerS/1e9, 100*b.RelativeSpread, b.Passes)
		}
	}
	if d.PeakBytesPerS != nil {
		fmt.Fprintf(w, "peak by the driver: %.4g GB/s\n", *d.PeakBytesPerS/1e9)
	}
	if len(d.Compute) > 0 {
		section("arithmetic\tmedian Tflop/s\tbest Tflop/s\tspread %\tpasses\tms each")
		for _, c := range d.Compute {
			unit := c.Unit
			if c.Sustained {
				unit += ", sustained"
			}
			row("%s\t%.4g\t%.4g\t%.1f\t%d\t%.3g", unit, c.FlopPerS/1e12, c.BestFlopPerS/1e12, 100*c.RelativeSpread, c.Passes, c.PassMS)
		}
	}
	if len(d.MatVec) > 0 {
		section("matrix x vector\trows\tcolumns\tweights\tmedian us\tGB/s\tpasses")
		for _, m := range d.MatVec {
			typ := m.Type
			if m.Cold {
				typ += ", cold"
			}
			row("%s\t%d\t%d\t%s\t%.4g\t%.4g\t%d", typ, m.Rows, m.Columns, text.Size(m.WeightBytes), m.US, m.BytesPerS/1e9, m.Passes)
		}
	}
	if len(d.Launch) > 0 {
		section("starting work\tmedian us\tbest us\tspread %\tpasses")
		for _, l := range d.Launch {
			row("%s\t%.4g\t%.4g\t%.1f\t%d", l.How, l.US, l.BestUS, 100*l.RelativeSpread, l.Passes)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, what := range d.Wrong {
		fmt.Fprintf(out, "WRONG: %s: the answer is not the reference's; its figures are left out\n", what)
	}
	if len(d.NotMeasured) > 0 {
		fmt.Fprintln(out)
	}
	for _, what := range slices.Sorted(maps.Keys(d.NotMeasured)) {
		fmt.Fprintf(out, "not measured: %s: %s\n", what, d.NotMeasured[what])
	}
	return nil
}
