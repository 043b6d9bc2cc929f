package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/doc"
	"llmscale/internal/text"
	"llmscale/native/backend"
	"llmscale/native/doctor"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "say what is here, what is missing and how to get it, and what would disturb a measurement",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.BoolFlag{Name: "gpu", Usage: "only whether models can run on a GPU here; exit code 1 if not"},
		},
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			if c.Bool("gpu") {
				if err := backend.Available(); err != nil {
					return err
				}
				fmt.Fprintln(c.App.Writer, "models can run on the GPU")
				return nil
			}
			findings := append(doctor.Examine(), charts())
			if c.Bool("json") {
				return printJSON(c.App.Writer, findings)
			}
			w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
			for _, f := range findings {
				fmt.Fprintf(w, "%s\t%s\t%s\n", f.State, f.What, text.OneLine(f.Found))
				if f.Do != "" {
					fmt.Fprintf(w, "\t\t-> %s\n", text.OneLine(f.Do))
				}
			}
			return w.Flush()
		},
	}
}

// charts says whether pages can draw their figures.
func charts() doctor.Finding {
	if name := doc.Charts(); name != "" {
		return doctor.Finding{State: "ok", What: "charts", Found: name}
	}
	return doctor.Finding{State: "missing", What: "charts", Found: "not in this binary: a page's figures are drawings", Do: "run `make build`"}
}
