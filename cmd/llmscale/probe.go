package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v2"

	"llmscale/internal/interrupt"
	"llmscale/internal/output"
	"llmscale/native"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
	"llmscale/runner/terminal"
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
	p := terminal.New(c.App.ErrWriter)
	defer p.Close()
	ctx, release := interrupt.Signals(c.Context)
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
		if err := f.Devices[i].WriteTable(c.App.Writer); err != nil {
			return err
		}
	}
	return nil
}
