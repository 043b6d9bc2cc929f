package figure

import "fmt"

// MaxSeries is how many lines one drawing shows. More cannot be told apart, and their
// legend would fill the page.
const MaxSeries = 12

// First are the first MaxSeries of xs. left says for the subtitle how many are not
// drawn, in the plural of what they are; it is empty where all are.
func First[T any](xs []T, many string) (kept []T, left string) {
	if len(xs) <= MaxSeries {
		return xs, ""
	}
	return xs[:MaxSeries], fmt.Sprintf(" · the first %d of %d %s", MaxSeries, len(xs), many)
}
