package text

import (
	"os/exec"
	"testing"
)

func TestArg(t *testing.T) {
	for s, want := range map[string]string{
		"runs/20261129_120000": "runs/20261129_120000", "a b": "'a b'", "": "''", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "模型": "模型", "~": "'~'",
		"a*": "'a*'", "new\nline": "'new\nline'",
	} {
		got := Arg(s)
		if got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
		if out, err := exec.Command("sh", "-c", "printf %s "+got).Output(); err != nil || string(out) != s {
			t.Errorf("a shell reads %s as %q (%v), want %q", got, out, err, s)
		}
	}
}
