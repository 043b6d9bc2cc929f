package text

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Safe returns s, which came from a file, a server or the environment, so that it cannot act on a terminal, break a
// line of a log or show other than it holds: control characters (newline, tab and ESC among them), marks that turn
// the direction of writing, characters without a width, line and paragraph separators and bytes that are no UTF-8
// are written as Go's escapes. What is printable stays in any script. What is safe is returned as it is, so that
// Safe may be applied twice; a backslash stays too, and so this is for reading and not for parsing back.
func Safe(s string) string { return escape(s, "") }

// SafeLines is Safe for text that is laid out in lines and columns by this program: newlines and tabs stay.
func SafeLines(s string) string { return escape(s, "\n\t") }

// OneLine puts the lines of an error, or of errors that were joined, into one, and makes it safe.
func OneLine(s string) string {
	return Safe(strings.ReplaceAll(strings.TrimSpace(s), "\n", "; "))
}

// escape writes as escapes what Safe names, but for the characters in keep.
func escape(s, keep string) string {
	var b strings.Builder
	done := 0 // s up to here is in b
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+size]
		if (r == utf8.RuneError && size == 1 || acts(r)) && !strings.Contains(keep, piece) {
			quoted := strconv.QuoteToASCII(piece)
			b.WriteString(s[done:i])
			b.WriteString(quoted[1 : len(quoted)-1])
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// acts says that a character does something where it is shown instead of being seen. The marks that Arabic, Syriac
// and Kaithi set before numbers are of the format characters' category, yet they are seen.
func acts(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7f
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point,
		unicode.Noncharacter_Code_Point) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// CheckPath refuses a path that is not UTF-8: JSON, in which it would be written, holds nothing else, and another path
// would be read back. what is for the message, for instance "the run's folder".
func CheckPath(what, path string) error {
	if utf8.ValidString(path) {
		return nil
	}
	return fmt.Errorf("%s is at %s, a path that is not UTF-8 (the letters with \\x), which a run's files cannot hold: give it another name (convmv renames whole folders)", what, Safe(path))
}
