// Package completion answers a shell that asks how a command line could go on.
//
// The library's completion is left out: it knows no values, offers the same for an argument as for the value of a
// flag, and its fish script gives -o and --output letters that fish refuses. Here each shell asks the hidden command
// `complete` for what may come next, and offers files where it has no answer.
package completion

import (
	"embed"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

//go:embed bash fish zsh
var scripts embed.FS

// Shells are those that there is a script for.
var Shells = []string{"bash", "fish", "zsh"}

// Script is a shell's script; ok is false where there is none.
func Script(shell string) (script []byte, ok bool) {
	if !slices.Contains(Shells, shell) {
		return nil, false
	}
	script, err := scripts.ReadFile(shell)
	return script, err == nil
}

// Word is what may come next, with its meaning.
type Word struct{ Text, Meaning string }

// Dashed is a flag's name as it is written.
func Dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// Candidates lists what the last of words can become, each with its meaning behind a tab; nil where files may. arguments
// and values say what a command's argument and the value of its flag can be.
func Candidates(app *cli.App, words []string, arguments func(app *cli.App, command, word string) []Word, values func(command, flag string) []string) (out []string) {
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
				offer(Dashed(name), f.(cli.DocGenerationFlag).GetUsage())
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
	if strings.HasPrefix(last, "-") {
		offerFlags(command.Flags)
		return out
	}
	word, known := last, 0
	if last == ":" { // where bash breaks words too
		word, last = before+":", ""
		known = len(word)
	} else if before == ":" && len(words) > 2 {
		word = words[len(words)-3] + ":"
		known = len(word)
		word += last
	}
	for _, w := range arguments(app, command.Name, word) {
		if len(w.Text) >= known {
			offer(w.Text[known:], w.Meaning)
		}
	}
	return out
}
