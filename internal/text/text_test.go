package text

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"gemma3:270m", "gemma3:1b", "llama3.2:1b", "qwen2.5:0.5b", "gen_tokens"}
	for _, c := range []struct{ got, want string }{
		{"gen_token", "gen_tokens"},  // a letter missing
		{"gne_tokens", "gen_tokens"}, // two swapped
		{"GEN_TOKENS", "gen_tokens"}, // letter case does not count
		{"llama3.2", "llama3.2:1b"},  // a beginning
		{"lama3.2:1b", "llama3.2:1b"},
		{"mistral", ""},
		{"", ""},
		{strings.Repeat("gen_tokens", 100), ""},
	} {
		if got := Nearest(c.got, known); got != c.want {
			t.Errorf("Nearest(%.20q) is %q, want %q", c.got, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "abc", 3}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d steps, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestCounted(t *testing.T) {
	for n, want := range map[int]string{0: "0 calls", 1: "1 call", 2: "2 calls"} {
		if got := Counted(n, "call", "calls"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestList(t *testing.T) {
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a or b": {"a", "b"}, "a, b or c": {"a", "b", "c"}} {
		if got := List(words, "or"); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
}
