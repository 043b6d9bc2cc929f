package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/exchange"
	"llmscale/cmd/llmscale/completion"
	"llmscale/gguf/synth"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/sources"
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell: " + text.List(completion.Shells, "or"),
		ArgsUsage: "SHELL",
		Description: "bash: source <(llmscale completion bash)      in ~/.bashrc\n" +
			"zsh:  source <(llmscale completion zsh)       in ~/.zshrc, after compinit\n" +
			"fish: llmscale completion fish | source       in ~/.config/fish/config.fish",
		Action: func(c *cli.Context) error {
			shell, err := oneArg(c, text.List(completion.Shells, "or"))
			if err != nil {
				return err
			}
			script, ok := completion.Script(shell)
			if !ok {
				return usagef("no completion for the shell %q; there are %s", shell, text.List(completion.Shells, "and"))
			}
			_, err = c.App.Writer.Write(script)
			return err
		},
	}
}

// completeCommand is what the scripts call: with the words after the program's name, the one under the cursor last.
func completeCommand() *cli.Command {
	return &cli.Command{
		Name:            "complete",
		Usage:           "say how a command line could go on",
		Hidden:          true,
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			for _, w := range completion.Candidates(c.App, c.Args().Slice(), arguments, values) {
				if _, err := fmt.Fprintln(c.App.Writer, w); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// arguments lists what a command's argument can become.
func arguments(app *cli.App, command, word string) (out []completion.Word) {
	switch command {
	case "completion":
		for _, shell := range completion.Shells {
			out = append(out, completion.Word{Text: shell})
		}
	case "sweep", "run":
		for _, s := range sources.Complete(word) {
			out = append(out, completion.Word{Text: s})
		}
	case "help":
		for _, c := range app.VisibleCommands() {
			out = append(out, completion.Word{Text: c.Name, Meaning: c.Usage})
		}
	}
	return out
}

// values lists what a command's flag takes, where that is one of a few words.
func values(command, flag string) []string {
	switch {
	case flag == "x-axis":
		return axisNames()
	case flag == "split":
		return plan.Splits
	case flag == "format" && command == "export":
		return exchange.Formats
	case flag == "type" && command == "synth":
		return synth.Types()
	case flag == "device" && command == "probe":
		return append(ofBackend("device"), allDevices)
	case flag == "flash-attn" && command == "inspect":
		return []string{"on", "off"}
	}
	return ofBackend(strings.ReplaceAll(flag, "-", "_"))
}

// ofBackend lists the values of a choice among a config's backend keys, by the key or its flag; nil for any other name.
func ofBackend(key string) []string {
	for _, t := range config.Tables() {
		for _, f := range t.Fields {
			if t.Name == "backends" && (f.Key == key || f.Flag == key) {
				return slices.Clone(f.Values)
			}
		}
	}
	return nil
}
