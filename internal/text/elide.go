package text

import "github.com/rivo/uniseg"

// gap stands for what Elide leaves out; of letters that every locale has.
const gap = ".."

// Width is how many columns of a terminal s takes.
func Width(s string) int { return uniseg.StringWidth(s) }

// Elide returns s if it fits into width columns of a terminal, and otherwise its beginning and its end, which tell
// paths and names apart, with ".." between.
func Elide(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width < len(gap)+2 {
		return cut(s, max(width, 0))
	}
	room := width - len(gap)
	head := cut(s, (room+1)/2)
	// The end: what is left of s after as many characters as it takes to leave no more than the room.
	tail := s[len(head):]
	for state := -1; Width(tail) > room-Width(head); {
		_, tail, _, state = uniseg.FirstGraphemeClusterInString(tail, state)
	}
	return head + gap + tail
}

// cut returns as much of the beginning of s as fits into width columns.
func cut(s string, width int) string {
	rest, state := s, -1
	for rest != "" {
		_, next, w, newState := uniseg.FirstGraphemeClusterInString(rest, state)
		if w > width {
			break
		}
		rest, width, state = next, width-w, newState
	}
	return s[:len(s)-len(rest)]
}
