package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"llmscale/internal/paths"
	"llmscale/runner"
	"llmscale/runner/merge"
)

func mergeCommand() *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "make one run of the shards that `run --shard` measured",
		ArgsUsage: "SHARD...",
		Description: "The shards are read and not changed. A run that lacks calls or shards says so, and can be merged again when they are there; exit code 3.\n" +
			"The run is one like any other: llmscale report --run-dir RUN.",
		Flags: []cli.Flag{&cli.StringFlag{Name: "output", Aliases: []string{"o"}, TakesFile: true, Usage: "the merged run's folder `RUN`, new or merged before (required)"}},
		Action: func(c *cli.Context) error {
			out := c.String("output")
			switch {
			case !c.Args().Present():
				return usagef("merge needs the folders of shards")
			case out == "":
				return usagef("merge needs -o RUN, the folder of the run that it makes")
			}
			out, err := paths.Clean(out)
			if err != nil {
				return usage(err)
			}
			result, err := merge.Merge(c.Args().Slice(), out)
			if input := (*runner.InputError)(nil); errors.As(err, &input) {
				return usage(err)
			}
			if err != nil {
				return err
			}
			for _, line := range result.Notes() {
				fmt.Fprintln(c.App.ErrWriter, line)
			}
			fmt.Fprintln(c.App.Writer, out)
			if !result.Complete() {
				return &exitError{exitFailedCells, nil}
			}
			return nil
		},
	}
}
