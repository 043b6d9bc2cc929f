// Command llmscale measures how language-model inference scales with model size:
// it drives llama.cpp over a series of models, times prefill and KV-cached
// decode, fits how latency grows, and writes a report.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/cmd/llmscale/completion"
	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/runner/config"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1   // something went wrong while running
	exitUsage       = 2   // bad flags, config or input files; nothing was measured
	exitFailedCells = 3   // finished, but some cells have no measurement
	exitInterrupted = 130 // stopped by the user; what was measured is kept
)

// The native half keeps the main goroutine on one thread of its own (native/cgo.go). What it hands to another goroutine and
// waits for, as gonum's fits do at each step, is a change of threads there: half of an analysis's time.
func main() {
	code := make(chan int)
	go func() { code <- Main(os.Args, os.Stdout, os.Stderr) }()
	os.Exit(<-code)
}

// exitError ends the program with a code; err may be nil if all has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks an error as the input's fault.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitUsage, err}
}

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// flagsFirst moves a command's arguments behind its flags. The flag package stops at the first argument, but people
// write `llmscale synth gpt2 -o F.gguf` as well.
func flagsFirst(app *cli.App, args []string) []string {
	at := slices.IndexFunc(args[min(1, len(args)):], func(a string) bool { return !strings.HasPrefix(a, "-") }) + 1
	if at < 1 || app.Command(args[at]) == nil || app.Command(args[at]).SkipFlagParsing {
		return args
	}
	valued := map[string]bool{} // flags that take the next argument as their value
	for _, f := range app.Command(args[at]).Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && d.TakesValue() {
			for _, name := range f.Names() {
				valued[name] = true
			}
		}
	}
	var flags, rest []string
	for i := at + 1; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--":
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case a == "--help" || a == "-h" || a == "-help":
			return append(args[:at+1:at+1], a) // about the command, whatever else stands there
		case len(a) > 1 && a[0] == '-':
			flags = append(flags, a)
			if valued[strings.TrimLeft(a, "-")] {
				if i++; i == len(args) {
					return slices.Concat(args[:at+1], flags) // its value is missing, which the flag package says
				}
				flags = append(flags, args[i])
			}
		default:
			rest = append(rest, a)
		}
	}
	return slices.Concat(args[:at+1], flags, []string{"--"}, rest)
}

// Main is the program without the process around it: it returns the exit code. Whatever is printed goes through a
// text.Writer, since any of it may come out of a model's file.
func Main(args []string, stdout, stderr io.Writer) int {
	out, log := text.NewWriter(stdout), text.NewWriter(stderr)
	code := runApp(args, out, log)
	// What cannot be written cannot be told.
	_, _ = out.Flush(), log.Flush()
	return code
}

func runApp(args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	app.Metadata = map[string]any{"args": args[min(1, len(args)):]}
	err := app.Run(flagsFirst(app, args))
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var exit *exitError
	if errors.As(err, &exit) {
		code, err = exit.code, exit.err
	} else if _, ok := err.(cli.ExitCoder); ok {
		code = exitUsage // the library's own: --help on what is no command
	}
	if err != nil {
		fmt.Fprintln(stderr, oneLine(err))
	}
	return code
}

// oneLine formats an error for the terminal. A config's errors are a list, one
// line each; everything else is one line.
func oneLine(err error) string {
	var list config.Errors
	if errors.As(err, &list) {
		return list.Error()
	}
	return "llmscale: " + strings.TrimPrefix(text.OneLine(paths.Explain(err)), "llmscale: ")
}

func newApp(stdout, stderr io.Writer) *cli.App {
	cli.FlagStringer = flagHelp
	app := &cli.App{
		Name:            "llmscale",
		Usage:           "measure how language-model inference scales with model size",
		Writer:          stdout,
		ErrWriter:       stderr,
		HideVersion:     true, // the library's takes -v, which is --verbose
		HideHelpCommand: true, // ours suggests, and ends with our exit codes
		// Errors are printed and turned into codes by Main alone.
		ExitErrHandler: func(*cli.Context, error) {},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "log to stderr, llama.cpp's own log included"},
			&cli.BoolFlag{Name: "version", Usage: "print the version; the command version says more"},
			cli.HelpFlag, // the library adds it beside its own command alone
		},
		Before: func(c *cli.Context) error {
			level := slog.LevelWarn
			if c.Bool("verbose") {
				level = slog.LevelDebug
			}
			slog.SetDefault(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})))
			return nil
		},
		Action: func(c *cli.Context) error {
			switch {
			case c.Args().Present():
				return noCommand(c.App, c.Args().First())
			case c.Bool("version"):
				v := versionInfo()
				_, err := fmt.Fprintln(c.App.Writer, strings.TrimSpace("llmscale "+v.Version+" "+v.Commit))
				return err
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			sweepCommand(), runCommand(), slurmCommand(), mergeCommand(), answerCommand(), analyzeCommand(), reportCommand(), compareCommand(), predictCommand(), verifyCommand(), exportCommand(), importCommand(),
			synthCommand(), convertCommand(), inspectCommand(), profileCommand(), probeCommand(), doctorCommand(), versionCommand(), schemaCommand(),
			helpCommand(), completionCommand(), completeCommand(), workerCommand(),
		},
	}
	app.OnUsageError = badUsage(app.Flags)
	hideFalse(app.Flags)
	for _, c := range app.Commands {
		c.OnUsageError = badUsage(c.Flags)
		c.HideHelpCommand = true // "help" may be a file's name
		hideFalse(c.Flags)
	}
	return app
}

// hideFalse leaves the default out of the help of flags that are off unless given.
func hideFalse(flags []cli.Flag) {
	for _, f := range flags {
		if f, ok := f.(*cli.BoolFlag); ok && !f.Value {
			f.DisableDefaultText = true
		}
	}
}

// badUsage answers a wrong flag; an unknown one with what was probably meant.
func badUsage(flags []cli.Flag) cli.OnUsageErrorFunc {
	return func(c *cli.Context, err error, _ bool) error {
		help := c.App.Name + " --help"
		if c.Command.Name != c.App.Name {
			help = c.App.Name + " " + c.Command.Name + " --help"
		}
		if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
			if near := text.Nearest(name, flagNames(flags)); near != "" {
				return usagef("no flag %s; did you mean %s? See `%s`", completion.Dashed(name), completion.Dashed(near), help)
			}
			return usagef("no flag %s; see `%s`", completion.Dashed(name), help)
		}
		return usagef("%s; see `%s`", wrongValue(flags, err), help)
	}
}

// What the flag package says of a flag's value: with one dash, and of a value that it cannot read nothing but that.
var (
	invalidValue = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([^:]+): `)
	noValue      = regexp.MustCompile(`^flag needs an argument: -(.+)$`)
)

// wrongValue says which value of a flag is wrong and what would be right.
func wrongValue(flags []cli.Flag, err error) string {
	if m := noValue.FindStringSubmatch(err.Error()); m != nil {
		return completion.Dashed(m[1]) + " has no value behind it"
	}
	m := invalidValue.FindStringSubmatch(err.Error())
	if m == nil {
		return err.Error()
	}
	value := completion.Dashed(m[2]) + " " + m[1]
	for _, f := range flags {
		if !slices.Contains(f.Names(), m[2]) {
			continue
		}
		switch f.(type) {
		case *cli.IntFlag, *cli.Int64Flag:
			return value + ": want a whole number"
		case *cli.UintFlag, *cli.Uint64Flag:
			return value + ": want a whole number of 0 or more"
		case *cli.BoolFlag:
			return value + ": want true or false, or the flag alone"
		}
	}
	return value + ": cannot be read"
}

func flagNames(flags []cli.Flag) (names []string) {
	for _, f := range flags {
		names = append(names, f.Names()...)
	}
	return names
}

// noCommand answers the name of a command that there is not.
func noCommand(app *cli.App, name string) error {
	var known []string
	for _, c := range app.VisibleCommands() {
		known = append(known, c.Name)
	}
	if near := text.Nearest(name, known); near != "" {
		return usagef("no command %q; did you mean %s? See `llmscale --help`", name, near)
	}
	return usagef("no command %q; see `llmscale --help`", name)
}

func helpCommand() *cli.Command {
	return &cli.Command{
		Name:      "help",
		Usage:     "show what the program, or one of its commands, does and takes",
		ArgsUsage: "[COMMAND]",
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return cli.ShowAppHelp(c)
			}
			name, err := oneArg(c, "a command")
			if err != nil {
				return err
			}
			if c.App.Command(name) == nil {
				return noCommand(c.App, name)
			}
			return cli.ShowCommandHelp(c, name)
		},
	}
}

// noArgs refuses stray arguments, which are most often a misplaced flag value.
func noArgs(c *cli.Context) error {
	if c.Args().Present() {
		hint := "; see"
		if f := "run-dir"; slices.Contains(flagNames(c.Command.Flags), f) && !c.IsSet(f) { // what is left out most often
			hint = fmt.Sprintf("; did you mean --%s %s? See", f, text.Arg(c.Args().First()))
		}
		return usagef("%s takes no argument %q%s `llmscale %s --help`", c.Command.Name, c.Args().First(), hint, c.Command.Name)
	}
	return nil
}

// oneArg returns the only argument.
func oneArg(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", usagef("%s takes one argument, %s, not %d. See `llmscale %s --help`", c.Command.Name, what, c.NArg(), c.Command.Name)
	}
	return c.Args().First(), nil
}
