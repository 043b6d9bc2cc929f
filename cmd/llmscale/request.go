package main

import (
	"context"
	"os"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/runner"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/request"
)

// withoutConfig heads them in the help.
const withoutConfig = "Without --config (a LIST is 1,2,4 or 1..4)"

// Of a flag with several values the library's help has each name twice, and of all the form before the meaning.
var (
	libraryHelp = cli.FlagStringer
	twice       = regexp.MustCompile(` \[ [^\t]* \]\t`)
)

func flagHelp(f cli.Flag) string {
	return strings.Replace(twice.ReplaceAllString(libraryHelp(f), "\t"), "\tLIST ", "\t", 1)
}

// requestFlags are those of the keys that a command line sets without a config.
func requestFlags() (flags []cli.Flag) {
	for _, f := range request.Flags() {
		var short []string
		if f.Short != "" {
			short = []string{f.Short}
		}
		if f.List {
			flags = append(flags, &cli.StringSliceFlag{Name: f.Name, Aliases: short, Category: withoutConfig, Usage: "`LIST` " + f.Usage, DefaultText: f.Help})
		} else {
			flags = append(flags, &cli.StringFlag{Name: f.Name, Aliases: short, Category: withoutConfig, Usage: f.Usage, DefaultText: f.Help})
		}
	}
	return flags
}

// requested makes the config of a command line without --config. What is told of it goes to note.
func requested(ctx context.Context, c *cli.Context, s *runner.Sweep, note func(string)) (_ *config.Config, explain func(error) error, err error) {
	q := &request.Request{Sweep: map[string]int64{}, Device: config.DeviceCUDA, Quick: c.Bool("quick"), MaxParams: s.Overrides.MaxParams}
	q.Args, _ = c.App.Metadata["args"].([]string)
	if q.Dir, err = os.Getwd(); err != nil {
		return nil, nil, err
	}
	q.Values, err = request.Values(func(f request.Flag) ([]string, bool) {
		if f.List {
			return c.StringSlice(f.Name), c.IsSet(f.Name)
		}
		return []string{c.String(f.Name)}, c.IsSet(f.Name)
	})
	if err != nil {
		return nil, nil, err
	}
	for _, key := range sweepKeys {
		if name := strings.ReplaceAll(key, "_", "-"); c.IsSet(name) {
			q.Sweep[key] = c.Int64(name)
		}
	}
	h := request.Host{ModelsDir: s.ModelsDir, Build: ownBuild(), NoDevice: noDevice(), Rates: plan.Nominal, Note: note}
	if len(h.NoDevice) > 0 {
		q.Device = config.DeviceCPU
	}
	if q.Quick {
		if rates, err := machineRates(); err == nil {
			h.Rates = rates
		}
	}
	cfg, err := q.Make(ctx, c.Args().Slice(), h)
	if err == nil && cfg.File() == request.Name {
		s.Overrides = runner.Overrides{} // all of them are in it
	}
	return cfg, q.Explain, err
}
