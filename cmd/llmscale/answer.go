package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"llmscale/analysis"
	"llmscale/analysis/answer"
	"llmscale/analysis/report"
	"llmscale/analysis/runs"
	"llmscale/analysis/verify"
	"llmscale/internal/text"
)

func answerCommand() *cli.Command {
	return &cli.Command{
		Name:  "answer",
		Usage: "say on one screen what a run comes to: the finding, what to change, what was measured, doubts",
		Flags: append([]cli.Flag{
			runDirFlag(),
			&cli.BoolFlag{Name: "json", Usage: "as JSON, with where each number stands"},
			&cli.BoolFlag{Name: "markdown", Usage: "as Markdown, to paste into an issue"},
		}, analysisFlags()...),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			if c.Bool("json") && c.Bool("markdown") {
				return usagef("answer prints --json or --markdown, not both")
			}
			run, result, err := analyzed(c, c.String("run-dir"))
			if err != nil {
				return err
			}
			if err := printAnswer(c, answer.Of(result), pageOf(run)); err != nil {
				return err
			}
			return result.Unmeasured()
		},
	}
}

// pageOf is the path of a run's report, "" where there is none.
func pageOf(run *runs.Run) string {
	path := filepath.Join(verify.Home(run), report.HTMLFile)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func printAnswer(c *cli.Context, a *answer.Answer, page string) error {
	var data []byte
	var err error
	switch {
	case c.Bool("json"):
		data, err = a.JSON()
	case c.Bool("markdown"):
		var md string
		md, err = a.Markdown()
		data = []byte(md)
	default:
		return tell(c.App.Writer, a, page)
	}
	if err == nil {
		_, err = c.App.Writer.Write(data)
	}
	return err
}

// tell writes the answer for people, with bold headings on a terminal unless NO_COLOR is
// set (no-color.org).
func tell(out io.Writer, a *answer.Answer, page string) error {
	bold := false
	if w, ok := out.(*text.Writer); ok {
		if f, ok := w.Unwrap().(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == "" {
			out, bold = f, true // what it says is made safe there
		}
	}
	_, err := io.WriteString(out, a.Terminal(bold, page))
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// analyzed reads a run and computes its result, and writes nothing.
func analyzed(c *cli.Context, dir string) (*runs.Run, *analysis.Result, error) {
	if dir == "" {
		return nil, nil, usagef("%s needs --run-dir DIR, a run's folder", c.Command.Name)
	}
	opt, err := analysisOptions(c)
	if err != nil {
		return nil, nil, err
	}
	boundMemory()
	run, err := runs.Load(dir)
	if err != nil {
		return nil, nil, usage(err)
	}
	if err := run.Nothing(); err != nil {
		return nil, nil, err
	}
	result, err := analysis.Analyze(run, opt)
	if err != nil {
		return nil, nil, usage(err)
	}
	return run, result, nil
}
