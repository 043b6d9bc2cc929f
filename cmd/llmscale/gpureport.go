package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/gpucheck"
)

// gpuReportCommand is the last step of scripts/gpu-check: package gpucheck says why it is here.
func gpuReportCommand() *cli.Command {
	return &cli.Command{
		Name:      "gpu-report",
		Usage:     "hold what gpu-check measured against what was expected of the GPU",
		ArgsUsage: "DIR",
		Description: "DIR is a folder of `make gpu-check`. Writes gpu-check.md and gpu-check.json into it and prints what is not as expected. What differs from\n" +
			"an expectation is in the report and is no failure of the command.",
		Action: func(c *cli.Context) error {
			dir, err := oneArg(c, "the folder of a gpu-check")
			if err != nil {
				return err
			}
			r, err := gpucheck.Read(dir)
			if err != nil {
				return usage(err)
			}
			for name, write := range map[string]func(*os.File) error{
				"gpu-check.md":   func(f *os.File) error { return r.Markdown(f) },
				"gpu-check.json": func(f *os.File) error { return r.JSON(f) },
			} {
				if err := writeTo(filepath.Join(dir, name), write); err != nil {
					return err
				}
			}
			for _, f := range r.Findings {
				if f.Verdict != gpucheck.AsExpected {
					fmt.Fprintf(c.App.Writer, "%s: %s: %s %s\n", f.Verdict, f.What, f.Measured, f.Why)
				}
			}
			fmt.Fprintf(c.App.Writer, "%d of %d findings differ from what was expected\n%s\n", r.Failed(), len(r.Findings), filepath.Join(dir, "gpu-check.md"))
			return nil
		},
	}
}

// writeTo writes a file as a whole; one that could not be closed was not written.
func writeTo(path string, write func(*os.File) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Close()
}
