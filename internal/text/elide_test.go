package text

import (
	"strings"
	"testing"
)

func TestElide(t *testing.T) {
	for _, c := range []struct {
		s     string
		width int
		want  string
	}{
		{"short", 5, "short"}, {"short", 80, "short"}, {"", 0, ""}, {"", 5, ""},
		{"abcdefghij", 9, "abcd..hij"}, {"abcdefghij", 8, "abc..hij"}, {"abcdefghij", 4, "a..j"},
		{"abcdefghij", 3, "abc"}, {"abcdefghij", 1, "a"}, {"abcdefghij", 0, ""}, {"abcdefghij", -1, ""},
		{"模型模型模型", 12, "模型模型模型"}, {"模型模型模型", 11, "模型..模型"}, {"模型模型模型", 5, "模.."}, // two columns each; a second one would not fit
		{"模型", 3, "模"}, {"e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", 4, "e\u0301..e\u0301"}, // a letter and its accent stay together
	} {
		if got := Elide(c.s, c.width); got != c.want {
			t.Errorf("%q in %d columns: %q, want %q", c.s, c.width, got, c.want)
		}
	}
}

func FuzzElide(f *testing.F) {
	f.Add("models/gpt2-5m.gguf", 10)
	f.Add("模型\u200d\U0001F469", 3)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width %= 200
		got := Elide(s, width)
		if Width(got) > max(width, 0) {
			t.Errorf("%q in %d columns: %q takes %d", s, width, got, Width(got))
		}
		if Width(s) <= width && got != s {
			t.Errorf("%q in %d columns: %q", s, width, got)
		}
		if head, tail, ok := strings.Cut(got, gap); Width(s) > width && ok && (!strings.HasPrefix(s, head) || !strings.HasSuffix(s, tail)) && !strings.Contains(s, ".") {
			t.Errorf("%q became %q", s, got)
		}
	})
}
