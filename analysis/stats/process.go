package stats

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// Processes of one cell are samples of calls: a process is one replicate, and its
// calls are no replicates of each other.

// Drift is by how much the times of calls change from the first of a process to the
// last, in logs: the slope of least squares over the calls of each process, times the
// steps, and of these the mean with its t over processes. Calls of a process follow
// each other and are not independent; processes are. Processes of fewer than three calls
// are left out. ok is false where fewer than two remain.
func Drift(processes [][]float64) (change Estimate, ok bool) {
	var changes []float64
	for _, calls := range processes {
		if len(calls) < MinPoints {
			continue
		}
		x := make([]float64, len(calls))
		for i := range x {
			x[i] = float64(i)
		}
		_, slope := stat.LinearRegression(x, Map(calls, math.Log), nil, false)
		changes = append(changes, slope*float64(len(calls)-1))
	}
	return MeanT(changes)
}

// RankDrift asks whether the calls of one process rise or fall: the p of Spearman's
// rank correlation with their order, and the median of the later half over that of
// the earlier, less 1. It takes four calls.
func RankDrift(calls []float64) (p, shift float64, ok bool) {
	if len(calls) < 4 {
		return 0, 0, false
	}
	order := make([]float64, len(calls))
	for i := range order {
		order[i] = float64(i)
	}
	half := len(calls) / 2
	_, p, ok = Spearman(order, calls)
	return p, Median(calls[len(calls)-half:])/Median(calls[:half]) - 1, ok
}

// Outlying tells which of xs are outliers: those 3.5 robust standard deviations and
// more from the median, by the median absolute deviation (Iglewicz and Hoaglin 1993,
// section 3), and by the share least of the median at least, so that equal times have
// none.
func Outlying(xs []float64, least float64) []bool {
	mid := Median(xs)
	sd := 1.4826 * Median(Map(xs, func(x float64) float64 { return math.Abs(x - mid) }))
	return Map(xs, func(x float64) bool { d := math.Abs(x - mid); return d >= 3.5*sd && d >= least*mid && d > 0 })
}
