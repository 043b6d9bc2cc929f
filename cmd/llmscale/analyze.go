package main

import (
	"fmt"
	"os"
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
			a, err := analyze(c, c.String("run-dir"))
			if err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, filepath.Join(a.dir, "analysis"))
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

// analyzed is what analyze found and where it put it.
type analyzed struct {
	dir     string // holds analysis/ and takes the report
	result  *analysis.Result
	figures []plot.Figure
}

// analyze computes the run's result and writes its tables and plots.
func analyze(c *cli.Context, dir string) (analyzed, error) {
	if dir == "" {
		return analyzed{}, usagef("%s needs --run-dir DIR, a run's folder", c.Command.Name)
	}
	opt := analysis.Options{
		IncludeWarmup: c.Bool("include-warmup"), Bootstrap: c.Int("bootstrap"), Seed: c.Uint64("analysis-seed"), XAxis: c.String("x-axis"),
	}
	if opt.Bootstrap == 0 {
		opt.Bootstrap = -1 // the option's zero value is the default
	}
	run, err := analysis.Load(dir)
	if err != nil {
		return analyzed{}, usage(err)
	}
	a := analyzed{dir: dir}
	if a.result, err = analysis.Analyze(run, opt); err != nil {
		return analyzed{}, usage(err)
	}
	if run.Harness == analysis.HarnessTR121 {
		// The Python harness's own analysis has the same file names: keep it.
		a.dir = filepath.Join(dir, "llmscale")
	}
	out := filepath.Join(a.dir, "analysis")
	if err := os.MkdirAll(out, 0o777); err != nil {
		return analyzed{}, err
	}
	if err := analysis.Write(out, a.result); err != nil {
		return analyzed{}, err
	}
	a.figures, err = plot.Write(filepath.Join(out, "plots"), a.result)
	return a, err
}

// analyzeAndReport returns the HTML report's path.
func analyzeAndReport(c *cli.Context, dir string) (string, error) {
	a, err := analyze(c, dir)
	if err != nil {
		return "", err
	}
	paths, err := report.Write(a.dir, a.result, a.figures)
	if err != nil {
		return "", err
	}
	return paths.HTML, nil
}
