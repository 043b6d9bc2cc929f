package figure

import "fmt"

const (
	// MaxSeries is how many lines without an order one drawing shows. More cannot be
	// told apart, and their legend would fill the page.
	MaxSeries = 12
	// MaxRamp is how many lines in order, with their names at their ends, find room.
	MaxRamp = 24
)

// First are the first MaxSeries of xs. left says so in the subtitle, with the plural
// of what they are; it is empty where all are shown.
func First[T any](xs []T, many string) (kept []T, left string) {
	if len(xs) <= MaxSeries {
		return xs, ""
	}
	return xs[:MaxSeries], fmt.Sprintf(" · the first %d of %d %s", MaxSeries, len(xs), many)
}

// Spread are MaxRamp of xs, which are in order: the first, the last, and others at even
// distances between them. left says so as that of First does.
func Spread[T any](xs []T, many string) (kept []T, left string) {
	if len(xs) <= MaxRamp {
		return xs, ""
	}
	for i := range MaxRamp {
		kept = append(kept, xs[i*(len(xs)-1)/(MaxRamp-1)])
	}
	return kept, fmt.Sprintf(" · %d of %d %s", MaxRamp, len(xs), many)
}
