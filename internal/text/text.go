// Package text helps messages: what was meant by a misspelt word, and lists of words.
package text

import (
	"strconv"
	"strings"
)

// longest is the length in bytes up to which a word is compared: names are shorter, and the time that comparing
// takes grows with the square.
const longest = 96

// Nearest returns the known word that got most likely means, or "" where none is near: the one with the fewest
// slips of the hand, letter case aside, if they are at most a third of got's letters; failing that a word that
// begins as got does.
func Nearest(got string, known []string) string {
	if len(got) > longest {
		return ""
	}
	best, bestDist := "", len(got)/3+1
	low := strings.ToLower(got)
	for _, k := range known {
		if d := distance(low, strings.ToLower(k)); d < bestDist || (best == "" && d == bestDist && d < len(got)) {
			best, bestDist = k, d
		}
	}
	if best == "" && len(low) >= 3 {
		for _, k := range known {
			if strings.HasPrefix(k, low) || strings.HasPrefix(low, k) {
				return k
			}
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal
// string alignment).
func distance(a, b string) int {
	var before []int
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur := make([]int, len(b)+1)
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			subst := prev[j-1]
			if a[i-1] != b[j-1] {
				subst++
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, subst)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev = prev, cur
	}
	return prev[len(b)]
}

// Counted is a number of things with their name: "1 model", "3 models".
func Counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// List joins words as a sentence does: "a, b and c" with the conjunction "and".
func List(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + conjunction + " " + words[len(words)-1]
}
