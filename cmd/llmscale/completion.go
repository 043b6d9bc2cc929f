package main

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/exchange"
	"llmscale/gguf/synth"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/plan"
	"llmscale/runner/sources"
)

// The library's completion is left out: it knows no values, offers the same for an argument as for the value of a
// flag, and its fish script gives -o and --output letters that fish refuses. Here each shell asks the hidden command
// `complete` for what may come next, and offers files where it has no answer.
//
//go:embed completion
var completionScripts embed.FS

// shells are those that completionScripts has.
var shells = []string{"bash", "fish", "zsh"}

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell: " + text.List(shells, "or"),
		ArgsUsage: "SHELL",
		Description: "bash: source <(llmscale completion bash)      in ~/.bashrc\n" +
			"zsh:  source <(llmscale completion zsh)       in ~/.zshrc, after compinit\n" +
			"fish: llmscale completion fish | source       in ~/.config/fish/config.fish",
		Action: func(c *cli.Context) error {
			shell, err := oneArg(c, text.List(shells, "or"))
			if err != nil {
				return err
			}
			if !slices.Contains(shells, shell) {
				return usagef("no completion for the shell %q; there are %s", shell, text.List(shells, "and"))
			}
			script, err := completionScripts.ReadFile("completion/" + shell)
			if err == nil {
				_, err = c.App.Writer.Write(script)
			}
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
			for _, w := range candidates(c.App, c.Args().Slice()) {
				if _, err := fmt.Fprintln(c.App.Writer, w); err != nil {
					return err
				}
			}
			return nil
		},
	}
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

// candidates lists what the last of words can become, each with its meaning behind a tab; nil where files may.
func candidates(app *cli.App, words []string) (out []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	last, written := words[len(words)-1], "" // written: what of the word stands before the part that is asked for
	offer := func(name, meaning string) {
		if strings.HasPrefix(name, last) {
			out = append(out, strings.TrimSuffix(written+name+"\t"+strings.ReplaceAll(meaning, "`", ""), "\t"))
		}
	}
	offerFlags := func(flags []cli.Flag) {
		if !slices.Contains(flags, cli.HelpFlag) { // which the library adds when a command runs
			flags = append(slices.Clone(flags), cli.HelpFlag)
		}
		for _, f := range flags {
			for _, name := range f.Names() {
				offer(dashed(name), f.(cli.DocGenerationFlag).GetUsage())
			}
		}
	}
	at := slices.IndexFunc(words[:len(words)-1], func(w string) bool { return !strings.HasPrefix(w, "-") })
	if at < 0 {
		if strings.HasPrefix(last, "-") {
			offerFlags(app.Flags)
			return out
		}
		for _, c := range app.VisibleCommands() {
			offer(c.Name, c.Usage)
		}
		return out
	}
	command := app.Command(words[at])
	if command == nil {
		return nil
	}
	// The flag whose value is wanted: the word before, or of --flag=value what stands before the sign, which bash
	// hands over in pieces.
	before := words[len(words)-2]
	switch {
	case last == "=":
		last = ""
	case before == "=" && len(words) > 2:
		before = words[len(words)-3]
	case strings.HasPrefix(last, "-") && strings.Contains(last, "="):
		before, last, _ = strings.Cut(last, "=")
		written = before + "="
	}
	if name := strings.TrimLeft(before, "-"); name != before {
		for _, f := range command.Flags {
			if d := f.(cli.DocGenerationFlag); d.TakesValue() && slices.Contains(f.Names(), name) {
				for _, v := range values(command.Name, name) {
					offer(v, "")
				}
				return out
			}
		}
	}
	switch {
	case strings.HasPrefix(last, "-"):
		offerFlags(command.Flags)
	case command.Name == "completion":
		for _, shell := range shells {
			offer(shell, "")
		}
	case command.Name == "sweep" || command.Name == "run":
		word, known := last, 0
		if last == ":" { // where bash breaks words too
			word, last = before+":", ""
			known = len(word)
		} else if before == ":" && len(words) > 2 {
			word = words[len(words)-3] + ":"
			known = len(word)
			word += last
		}
		for _, s := range sources.Complete(word) {
			offer(s[known:], "")
		}
	case command.Name == "help":
		for _, c := range app.VisibleCommands() {
			offer(c.Name, c.Usage)
		}
	}
	return out
}
