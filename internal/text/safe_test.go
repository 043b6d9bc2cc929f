package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafe(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", `C:\models\a "b" {c}`, `C:\models\a "b" {c}`},
		{"title", "a\x1b]0;owned\x07b", `a\x1b]0;owned\ab`},
		{"C0 and DEL", "\x00\x08\t\n\v\r\x1f\x7f", `\x00\b\t\n\v\r\x1f\x7f`},
		{"C1 as a character", "\u009b2J\u0085", `\u009b2J\u0085`},
		{"C1 as a bare byte", "\x9b2J", `\x9b2J`},
		{"right-to-left override", "abc\u202egpj.exe\u202c", `abc\u202egpj.exe\u202c`},
		{"isolates and marks", "\u2066\u2067\u2068\u2069\u200e\u200f\u061c", `\u2066\u2067\u2068\u2069\u200e\u200f\u061c`},
		{"no width", "a\u200b\u200c\u200d\u2060\ufeff\u00ad\u3164\U000e0041", `a\u200b\u200c\u200d\u2060\ufeff\u00ad\u3164\U000e0041`},
		{"separators", "a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"cut and overlong UTF-8", "Müll\xc3 \xe2\x80 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80", `Müll\xc3 \xe2\x80 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80`},
		{"noncharacter", "\uffff", `\uffff`},
		{"letters", "Straße Ωμέγα Привет שלום السلام हिन्दी ไทย 中文 日本 한국어 ＡＢ", "Straße Ωμέγα Привет שלום السلام हिन्दी ไทย 中文 日本 한국어 ＡＢ"},
		{"marks, symbols, spaces", "e\u0301 €→½ 👍🏽 ❤\ufe0f a\u00a0b\u3000c \ufffd \u0600١", "e\u0301 €→½ 👍🏽 ❤\ufe0f a\u00a0b\u3000c \ufffd \u0600١"},
	} {
		got := Safe(c.in)
		if got != c.want {
			t.Errorf("%s: %+q, want %+q", c.name, got, c.want)
		}
		if again := Safe(got); again != got {
			t.Errorf("%s: applied twice it is %+q, once %+q", c.name, again, got)
		}
	}
}

func TestSafeLines(t *testing.T) {
	const in = "name\tsize\n\x1b[31mgpt2\t\r5 M\u202e\n"
	if got, want := SafeLines(in), "name\tsize\n\\x1b[31mgpt2\t\\r5 M\\u202e\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCheckPath(t *testing.T) {
	if err := CheckPath("it", "/Müll/中/\x1b"); err != nil {
		t.Error(err)
	}
	if err := CheckPath("the file", "/M\xfcll"); err == nil || !strings.Contains(err.Error(), `the file is at /M\xfcll, a path that is not UTF-8`) {
		t.Error(err)
	}
}

func FuzzSafe(f *testing.F) {
	f.Add("a\x1b[2J\u202e\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := Safe(s)
		if !utf8.ValidString(got) {
			t.Errorf("%+q gives %+q, which is no UTF-8", s, got)
		}
		if strings.ContainsFunc(got, acts) {
			t.Errorf("%+q gives %+q, in which a character acts", s, got)
		}
		if Safe(got) != got {
			t.Errorf("%+q: applied twice it differs", s)
		}
	})
}
