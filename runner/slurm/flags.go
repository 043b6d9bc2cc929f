package slurm

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/runner/plan"
)

// Options of sbatch that are handed on: of where and how long jobs run to both, the others to the array.
var (
	places = []string{"partition", "account", "qos", "time", "mem"}
	shares = []string{"gpus", "constraint", "nodelist", "exclude", "cpus-per-task"}
)

// Of the flags of `llmscale run`, those that mean nothing here, and those that the scripts give themselves.
var (
	foreign = []string{"shard", "dry-run", "resume", "quick"}
	given   = []string{"config", "out", "split"}
)

// ShardFlags say which part of a plan is measured.
func ShardFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "shard", Usage: "measure only part `I/N` of the plan; slurm: as the job array's task (docs/cluster.md)"},
		&cli.StringFlag{Name: "split", Value: plan.Splits[0], Usage: "what the parts are made of: " + text.List(plan.Splits, "or")},
	}
}

// ShardOf reads them.
func ShardOf(c *cli.Context) (plan.Shard, error) {
	switch {
	case c.IsSet("shard"):
		return ParseShard(c.String("shard"), c.String("split"), os.Getenv)
	case c.IsSet("split") && c.Int("shards") == 0:
		return plan.Shard{}, errors.New("--split says how --shard is made: give both")
	}
	return plan.Shard{}, nil
}

// Flags are those of a sweep on Slurm; run are those of `llmscale run`.
func Flags(run []cli.Flag) []cli.Flag {
	flags := []cli.Flag{
		&cli.IntFlag{Name: "shards", Usage: "parts of the plan, tasks of the array, `N`", DefaultText: "none"},
		&cli.BoolFlag{Name: "submit", Usage: "hand the jobs to sbatch instead of printing a script that does"},
		&cli.BoolFlag{Name: "share-nodes", Usage: "let other jobs onto the nodes meanwhile; without it sbatch gets --exclusive"},
		&cli.IntFlag{Name: "end-before", Value: 120, Usage: "`SECONDS` before the time limit at which a task ends in order and goes back into the queue"},
	}
	for _, f := range run {
		if !slices.Contains(foreign, f.Names()[0]) {
			flags = append(flags, f)
		}
	}
	for _, name := range slices.Concat(places, shares) {
		flags = append(flags, &cli.StringFlag{Name: name, Usage: "sbatch's --" + name})
	}
	return flags
}

// FromFlags reads them.
func FromFlags(c *cli.Context, run []cli.Flag) (*Sweep, error) {
	s := &Sweep{Config: c.String("config"), Dir: c.String("out"), Of: c.Int("shards"), Split: c.String("split"), Share: c.Bool("share-nodes"), BeforeEndS: c.Int("end-before")}
	switch {
	case s.Config == "" || s.Config == "-" || s.Dir == "":
		return nil, errors.New("slurm needs --config FILE and --out DIR, where all nodes see them")
	case s.Of < 1:
		return nil, errors.New("slurm needs --shards N, from 1")
	case s.BeforeEndS < 0:
		return nil, fmt.Errorf("--end-before %d: want seconds", s.BeforeEndS)
	}
	for _, name := range slices.Concat(places, shares) {
		if c.IsSet(name) {
			option := "--" + name + "=" + c.String(name)
			s.array = append(s.array, option)
			if slices.Contains(places, name) {
				s.merge = append(s.merge, option)
			}
		}
	}
	for _, f := range run {
		name := f.Names()[0]
		if !c.IsSet(name) || slices.Contains(given, name) {
			continue
		}
		switch v := c.Value(name).(type) {
		case bool:
			s.Flags = append(s.Flags, fmt.Sprintf("--%s=%t", name, v))
		case cli.StringSlice:
			s.Flags = append(s.Flags, "--"+name, strings.Join(v.Value(), ","))
		default:
			s.Flags = append(s.Flags, "--"+name, fmt.Sprint(v))
		}
	}
	var err error
	if s.Program, err = os.Executable(); err != nil {
		return nil, err
	}
	for _, path := range []*string{&s.WorkDir, &s.Config, &s.Dir, &s.Program} { // as seen from here, where the jobs start
		if *path, err = paths.Absolute(*path); err != nil {
			return nil, err
		}
	}
	return s, nil
}
