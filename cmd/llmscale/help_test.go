package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"llmscale/cmd/llmscale/completion"
)

// TestHelpTellsDefaults reads the help of every command: each flag has at most one default, never the zero that
// stands for "not given", and those of a config's keys are the config's.
func TestHelpTellsDefaults(t *testing.T) {
	app := newApp(nil, nil)
	for _, c := range app.Commands {
		if c.Hidden || c.Name == "help" { // whose help is the program's
			continue
		}
		code, help, stderr := llmscale(c.Name, "--help")
		if code != exitDone || !strings.Contains(help, "llmscale "+c.Name) {
			t.Fatalf("%s: exit code %d: %s%s", c.Name, code, help, stderr)
		}
		for line := range strings.Lines(help) {
			if strings.Count(line, "(default:") > 1 || strings.Contains(line, "(default: false)") || regexp.MustCompile(`\(default: 0\)`).MatchString(line) {
				t.Errorf("%s: %s", c.Name, line)
			}
		}
		_, again, _ := llmscale("help", c.Name)
		if again == "" || !strings.Contains(again, c.Usage) {
			t.Errorf("help %s: %q", c.Name, again)
		}
	}
	_, help, _ := llmscale("sweep", "some argument", "--help") // of the command, whatever else stands there
	for _, want := range []string{
		`--repetitions value, -r value .*\(default: the config's, or 3 where it has none\)`, `--seed value .*or 42 where`, `--bootstrap N .*\(default: 1000\)`,
		`--x-axis AXIS .*\(default: "params_total"\)`, `--models-dir DIR .*\(default: "models"\)`,
	} {
		if !regexp.MustCompile(want).MatchString(help) {
			t.Errorf("no %q in\n%s", want, help)
		}
	}
}

func TestVersionFlag(t *testing.T) {
	code, flag, stderr := llmscale("--version")
	_, command, _ := llmscale("version")
	first, _, _ := strings.Cut(command, "\n")
	if code != exitDone || strings.Join(strings.Fields(flag), " ") != strings.Join(strings.Fields(first), " ") || strings.Count(flag, "\n") != 1 {
		t.Errorf("exit code %d, %q, %q; the command says %q", code, flag, stderr, first)
	}
}

// TestAnalysisFlagsComeFirst: what the analysis would refuse after hours of measuring is refused before, on every
// way to start.
func TestAnalysisFlagsComeFirst(t *testing.T) {
	good := writeFile(t, "good.yaml", sweepOf("synth:tiny-gpt2"))
	t.Chdir(t.TempDir())
	for _, flags := range [][]string{
		{"--x-axis", "size", "no x axis \"size\""}, {"--x-axis", "parms_total", "did you mean params_total?"}, {"--x-axis", "", "--x-axis is empty"},
		{"--bootstrap", "-3", "--bootstrap -3: want"}, {"--bootstrap", "1000000000", "want at most 1000000"}, {"--bootstrap", "many", "many"},
		{"--analysis-seed", "0", "--analysis-seed 0: want 1 or more"}, {"--analysis-seed", "-1", "-1"},
		{"--slo", "2s/first", "want a time for each token here, as 50ms/token"}, {"--slo", "50", `--slo "50": want a time for each token`},
	} {
		for _, start := range [][]string{
			{"sweep", "--config", good}, {"sweep", "--config", good, "--dry-run"}, {"sweep", "--resume", "absent"},
			{"analyze", "--run-dir", "absent"}, {"report", "--run-dir", "absent"},
		} {
			args := append(slices.Clone(start), flags[:2]...)
			code, stdout, stderr := llmscale(args...)
			if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, flags[2]) {
				t.Errorf("%v: exit code %d, %q, %q; want %q", args, code, stdout, stderr, flags[2])
			}
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCandidates(t *testing.T) {
	app := newApp(nil, nil)
	for _, c := range []struct {
		words     []string
		some, not []string // names among the answers, and not; no names: no answer at all
	}{
		{nil, []string{"sweep", "completion"}, []string{"worker", "complete", "--verbose"}},
		{[]string{"sw"}, []string{"sweep"}, []string{"run"}},
		{[]string{"-"}, []string{"--version", "--verbose", "-v", "--help"}, []string{"sweep"}},
		{[]string{"--verbose", "an"}, []string{"analyze"}, nil},
		{[]string{"run", "--re"}, []string{"--repetitions", "--resume"}, []string{"--config"}},
		{[]string{"run", "-"}, []string{"--config", "--help"}, []string{"--x-axis"}},
		{[]string{"run", "--config", ""}, nil, nil}, // files
		{[]string{"inspect", ""}, nil, nil},
		{[]string{"nonsense", ""}, nil, nil},
		{[]string{"sweep", "--x-axis", ""}, []string{"params_total", "bytes_per_token"}, []string{"--config"}},
		{[]string{"sweep", "--x-axis", "by"}, []string{"bytes_per_token"}, []string{"params_total"}},
		{[]string{"sweep", "--x-axis", "=", "by"}, []string{"bytes_per_token"}, []string{"params_total"}}, // as bash breaks it
		{[]string{"sweep", "--x-axis", "="}, []string{"bytes_per_token", "params_total"}, nil},
		{[]string{"sweep", "--x-axis=by"}, []string{"--x-axis=bytes_per_token"}, []string{"--x-axis=params_total", "bytes_per_token"}},
		{[]string{"probe", "--device", ""}, []string{"all", "cpu", "cuda"}, nil},
		{[]string{"profile", "--device", ""}, []string{"cpu", "cuda"}, []string{"all"}},
		{[]string{"sweep", "sha"}, []string{"shape:llama3.2-1b"}, []string{"ladder:llama"}},
		{[]string{"sweep", "ladder:l"}, []string{"ladder:llama"}, nil},
		{[]string{"sweep", "ladder", ":", "l"}, []string{"llama"}, []string{"ladder:llama"}}, // as bash breaks it
		{[]string{"sweep", "shape", ":"}, []string{"llama3.2-1b"}, nil},
		{[]string{"sweep", "-fa", ""}, []string{"auto", "on", "off"}, nil},
		{[]string{"sweep", "--types", "q4"}, []string{"q4_0", "q4_K"}, []string{"f16"}},
		{[]string{"sweep", "-ng"}, nil, nil},
		{[]string{"sweep", "--ng"}, []string{"--ngl"}, nil},
		{[]string{"synth", "--type", "q4"}, []string{"q4_0", "q4_K"}, []string{"f32"}},
		{[]string{"completion", ""}, []string{"bash", "fish", "zsh"}, nil},
		{[]string{"help", "swe"}, []string{"sweep"}, []string{"run"}},
		{[]string{"run", "--dry-run", ""}, nil, nil}, // takes no value
	} {
		var names []string
		for _, line := range completion.Candidates(app, c.words, arguments, values) {
			name, _, _ := strings.Cut(line, "\t")
			names = append(names, name)
		}
		if c.some == nil && c.not == nil && names != nil {
			t.Errorf("%q: %q, want nothing", c.words, names)
		}
		for _, want := range c.some {
			if !slices.Contains(names, want) {
				t.Errorf("%q: no %s among %q", c.words, want, names)
			}
		}
		for _, bad := range c.not {
			if slices.Contains(names, bad) {
				t.Errorf("%q: %s is among %q", c.words, bad, names)
			}
		}
	}
}

// TestCompletionInShells asks each shell that is here what it would offer, with this program as llmscale.
func TestCompletionInShells(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "my programs", "llmscale") // the program's path may have blanks
	if err := os.MkdirAll(filepath.Dir(program), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, program); err != nil {
		t.Fatal(err)
	}
	for shell, script := range map[string]string{
		"bash": `source <("$1" completion bash)
ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _llmscale; printf '%s\n' "${COMPREPLY[@]}"; echo .; }
complete -p llmscale >/dev/null
ask "$1" sw; ask "$1" sweep --x-axis = by; ask "$1" inspect ""; ask "$1" run --resu`,
		"fish": `"$argv[1]" completion fish | source
set -gx PATH (dirname $argv[1]) $PATH
for line in "llmscale sw" "llmscale sweep --x-axis by" "llmscale sweep --x-axis=by" "llmscale run --resu" "llmscale sweep --x-axis " "llmscale inspect help_t"; complete -C $line | string split -f1 \t; echo .; end`,
		"zsh": `compdef() { }; compadd() { shift; print -l -- "$@" }; _files() { }
source <("$1" completion zsh)
ask() { words=("$@"); CURRENT=$#; _llmscale; echo . }
ask "$1" sw; ask "$1" sweep --x-axis by; ask "$1" sweep --x-axis=by; ask "$1" inspect ""; ask "$1" run --resu`,
	} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Skip(shell + " is not here")
			}
			args := []string{"-c", script, shell, program}
			if shell == "fish" {
				args = []string{"-N", "-c", script, program}
			}
			cmd := exec.Command(shell, args...)
			cmd.Env = append(os.Environ(), envMain+"=1", "HOME="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			want := map[string]string{
				"bash": "sweep\n.\nbytes_per_token\n.\n\n.\n--resume\n.\n", // no answer prints as an empty one
				"fish": "sweep\n.\nbytes_per_token\n.\n--x-axis=bytes_per_token\n.\n--resume\n.\n" +
					"bytes_per_token\nparams_active\nparams_non_embedding\nparams_total\n.\nhelp_test.go\n.\n", // files where there is no answer, and only there
				"zsh": "sweep\n.\nbytes_per_token\n.\n--x-axis=bytes_per_token\n.\n.\n--resume\n.\n",
			}[shell]
			if string(out) != want {
				t.Errorf("%q, want %q", out, want)
			}
		})
	}
}
