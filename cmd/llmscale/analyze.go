package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/analysis"
	"llmscale/analysis/plot"
	"llmscale/analysis/report"
)

func analysisFlags() []cli.Flag {
	var axes []string
	for _, a := range analysis.Axes() {
		axes = append(axes, a.Name)
	}
	return []cli.Flag{
		&cli.IntFlag{Name: "bootstrap", Value: 1000, Usage: "resamples for confidence intervals; 0 for none"},
		&cli.Uint64Flag{Name: "analysis-seed", Value: 42, Usage: "of the bootstrap"},
		&cli.BoolFlag{Name: "include-warmup", Usage: "let warm-ups into summaries and fits"},
		&cli.StringFlag{Name: "x-axis", Value: "params_total", Usage: "what stands for size: " + strings.Join(axes, ", ")},
	}
}

func runDirFlag() cli.Flag {
	return &cli.StringFlag{Name: "run-dir", Usage: "the run's `DIR` (required)"}
}

func analyzeCommand() *cli.Command {
	return &cli.Command{
		Name:  "analyze",
		Usage: "compute summaries, fits and plots of a run; reads TR121's Python run folders too",
		Flags: append([]cli.Flag{runDirFlag()}, analysisFlags()...),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			dir := c.String("run-dir")
			if _, _, err := analyze(c, dir); err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, filepath.Join(dir, "analysis"))
			return nil
		},
	}
}

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "analyze a run and write report.md and report.html",
		Flags: append([]cli.Flag{runDirFlag()}, analysisFlags()...),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			path, err := analyzeAndReport(c, c.String("run-dir"))
			if err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, path)
			return nil
		},
	}
}

// analyze computes the run's result and writes its tables and plots.
func analyze(c *cli.Context, dir string) (*analysis.Result, []plot.Figure, error) {
	if dir == "" {
		return nil, nil, usagef("%s needs --run-dir DIR, a run's folder", c.Command.Name)
	}
	opt := analysis.Options{
		IncludeWarmup: c.Bool("include-warmup"), Bootstrap: c.Int("bootstrap"), Seed: c.Uint64("analysis-seed"), XAxis: c.String("x-axis"),
	}
	if opt.Bootstrap == 0 {
		opt.Bootstrap = -1 // the option's zero value is the default
	}
	run, err := analysis.Load(dir)
	if err != nil {
		return nil, nil, usage(err)
	}
	result, err := analysis.Analyze(run, opt)
	if err != nil {
		return nil, nil, usage(err)
	}
	if err := analysis.Write(filepath.Join(dir, "analysis"), result); err != nil {
		return nil, nil, err
	}
	figures, err := plot.Write(filepath.Join(dir, "analysis", "plots"), result)
	return result, figures, err
}

// analyzeAndReport returns the HTML report's path.
func analyzeAndReport(c *cli.Context, dir string) (string, error) {
	result, figures, err := analyze(c, dir)
	if err != nil {
		return "", err
	}
	paths, err := report.Write(dir, result, figures)
	if err != nil {
		return "", err
	}
	return paths.HTML, nil
}
