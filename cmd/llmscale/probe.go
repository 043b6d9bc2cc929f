package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"llmscale/internal/interrupt"
	"llmscale/internal/output"
	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/worker"
)

// allDevices is the probe's word for every device that there is.
const allDevices = "all"

func probeCommand() *cli.Command {
	return &cli.Command{
		Name:  "probe",
		Usage: "measure what this machine can do at most: bandwidth, arithmetic, the cost of starting work",
		Description: "The figures are printed and added to FILE; docs/probe.md says what they are. A run does this by itself, quickly,\n" +
			"before its first cell. Nothing else should run meanwhile.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "device", Value: allDevices, Usage: "`cpu, cuda or all`"},
			&cli.IntFlag{Name: "threads", Usage: "CPU threads `N`", DefaultText: "one for each physical core"},
			&cli.BoolFlag{Name: "quick", Usage: "a few seconds, as before a run"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, TakesFile: true, Value: ceilings.FileName, Usage: "`FILE` that keeps the figures; what is in it stays"},
		},
		Action: probeAction,
	}
}

func probeAction(c *cli.Context) error {
	if err := noArgs(c); err != nil {
		return err
	}
	_, threads := machine.Cores()
	if c.IsSet("threads") {
		if threads = c.Int("threads"); threads < 1 || threads > 512 {
			return usagef("--threads %d: want 1 to 512", threads)
		}
	}
	specs := []protocol.ProbeSpec{{Device: config.DeviceCPU, Threads: threads, Quick: c.Bool("quick")}, {Device: config.DeviceCUDA, Quick: c.Bool("quick")}}
	all := false
	switch device := c.String("device"); device {
	case allDevices:
		all = true
	case config.DeviceCPU:
		specs = specs[:1]
	case config.DeviceCUDA:
		specs = specs[1:]
	default:
		return usagef("--device %q: want cpu, cuda or all", device)
	}
	if !native.Built {
		return usage(native.ErrNotBuilt)
	}
	if err := output.Check(c.String("out"), 0, true); err != nil {
		return usage(err) // before half a minute of measuring
	}
	p := newProgress(c.App.ErrWriter)
	defer p.Close()
	ctx, release := interrupts(c.Context)
	defer release()
	f := ceilings.File{SchemaVersion: ceilings.SchemaVersion, Devices: []ceilings.Device{}}
	for _, s := range specs {
		p.Probe(s, 0)
		d, err := worker.Probe(ctx, workerProcess(c), slog.Default(), s, func(share float64) { p.Probe(s, share) })
		p.Clear()
		if errors.Is(err, interrupt.Err) {
			return &exitError{exitInterrupted, fmt.Errorf("interrupted: ceilings of %s not measured", s)}
		}
		if err != nil {
			err = fmt.Errorf("ceilings of %s not measured: %w", s, err)
			if all && s.Device == config.DeviceCUDA { // a machine need not have one
				fmt.Fprintln(c.App.ErrWriter, oneLine(err))
				continue
			}
			if failure := (*record.Failure)(nil); errors.As(err, &failure) {
				for _, line := range failure.Stderr {
					fmt.Fprintln(c.App.ErrWriter, line)
				}
			}
			return err
		}
		if f.MeasuredAt.IsZero() {
			f.MeasuredAt = d.MeasuredAt
		}
		f.Devices = append(f.Devices, *d)
		aside, err := ceilings.Append(c.String("out"), []ceilings.Device{*d}) // before the next device can go wrong
		if aside != "" {
			fmt.Fprintf(c.App.ErrWriter, "%s could not be read; it is kept as %s\n", c.String("out"), aside)
		}
		if err != nil {
			return err
		}
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, f)
	}
	for i := range f.Devices {
		if i > 0 {
			fmt.Fprintln(c.App.Writer)
		}
		if err := printCeilings(c.App.Writer, &f.Devices[i]); err != nil {
			return err
		}
	}
	return nil
}

// probeDevice measures a device's ceilings: it is the protocol.Prober of this
// program's workers.
func probeDevice(s protocol.ProbeSpec, progress func(share float64)) (d ceilings.Device, err error) {
	watch := machine.NewWatch()
	if s.Device == config.DeviceCUDA {
		d, err = probeCUDA(s.Quick, progress)
	} else {
		progress(0)
		d, err = native.ProbeCPU(native.ProbeOptions{
			Name: machine.This().CPU, Threads: s.Threads, Quick: s.Quick, Progress: progress,
			// What is free may be needed by others a moment later.
			MaxBytes: machine.AvailableMemory() / 4,
		})
	}
	d.Disturbed = watch.Use().Disturbances()
	return d, err
}

// printCeilings prints one device as tables.
func printCeilings(out io.Writer, d *ceilings.Device) error {
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
		for _, b := range ceilings.BestWays(d.Bandwidth) {
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
