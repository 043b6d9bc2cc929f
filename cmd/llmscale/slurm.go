package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"llmscale/internal/text"
	"llmscale/runner"
	"llmscale/runner/plan"
	"llmscale/runner/slurm"
	"llmscale/runner/terminal"
)

func slurmCommand() *cli.Command {
	return &cli.Command{
		Name:  "slurm",
		Usage: "print or submit (--submit) the Slurm jobs that measure a config in shards, merge them and report",
		Description: "--out DIR takes the shards, DIR/run merged of them, and the logs. A second submission into DIR runs only the shards that lack calls.\n" +
			"Config, models and DIR must lie where all nodes see them (docs/cluster.md).",
		Flags: slurm.Flags(runFlags()),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			s, err := slurm.FromFlags(c, runFlags())
			if err == nil {
				err = left(c, s)
			}
			switch {
			case err != nil:
				return usage(err)
			case len(s.Only) == 0:
				fmt.Fprintf(c.App.ErrWriter, "no shard in %[1]s lacks calls; to merge them anew: llmscale merge %[1]s/shard-* -o %[1]s/run\n", text.Arg(s.Dir))
				return nil
			case !c.Bool("submit"):
				_, err := fmt.Fprint(c.App.Writer, s.Script())
				return err
			}
			array, merge, err := s.Submit(c.Context)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%s\n%s\n", array, merge)
			return nil
		},
	}
}

// left plans the sweep and looks which shards lack calls.
func left(c *cli.Context, s *slurm.Sweep) error {
	if err := checkRunFlags(c); err != nil { // as each task would
		return err
	}
	progress := terminal.New(c.App.ErrWriter)
	defer progress.Close()
	sweep, _, err := newSweep(c.Context, c, progress)
	if err != nil {
		return err
	}
	sweep.Dir = filepath.Join(s.Dir, "plan") // which is not made
	host := newHost(c, progress)
	host.Planned = func(p *plan.Plan) error {
		if err := s.Left(p); err != nil {
			return err
		}
		return errPlanned
	}
	if _, err := runner.Start(c.Context, sweep, host); !errors.Is(err, errPlanned) {
		return err
	}
	return nil
}
