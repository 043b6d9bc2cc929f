package stats

import (
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Processes of one cell are samples of calls: a process is one replicate, and its
// calls are no replicates of each other.

// medianPart is the variance of the median of n normal values over that of one. It is
// exact for n of 1, and within 2 % of the exact value below 12; for many it is pi/2n.
func medianPart(n int) float64 { return math.Pi / (2*float64(n) + math.Pi - 2) }

// LogMedians are the logarithms of the processes' medians.
func LogMedians(processes [][]float64) []float64 {
	return Map(processes, func(calls []float64) float64 { return math.Log(Median(calls)) })
}

// Nested are the two variances of a cell's times, in logs: of a call about its
// process, and of a process about the cell. The first is by the median absolute
// deviation of the calls about their process's median, which one slow call in a few
// does not move. The second is the variance of the logs of the process medians less
// what the calls' scatter gives a median of so many (the method of moments of a one-way
// random layout: Searle, Casella and McCulloch 1992, section 3.6, with medians in
// place of means); it is 0 at least. ok is false below two processes, and where no
// process has two calls.
func Nested(processes [][]float64) (call, process float64, ok bool) {
	sd, df, _ := callScatter(processes)
	if len(processes) < 2 || df == 0 {
		return 0, 0, false
	}
	call = sd * sd
	part := 0.0
	for _, p := range processes {
		part += medianPart(len(p)) / float64(len(processes))
	}
	return call, max(0, stat.Variance(LogMedians(processes), nil)-part*call), true
}

// BlockVariance is the variance of what all cells of a block have in common: the mean covariance of two cells over the
// blocks that have both. y[c][b] is of cell c in block b; a cell may lack blocks. With all of them it is (MSB - MSE)/C
// of the two-way layout of C cells and blocks, one value each (Searle, Casella and McCulloch 1992, section 4.6). Where
// some are missing, the divisor is what the sum of the products of two cells' deviations, each from its own mean, holds
// of the block's variance (method of moments). It is 0 at least. ok is false below two cells or two common blocks.
func BlockVariance(y []map[int]float64) (v float64, ok bool) {
	seen := map[int]bool{}
	for _, cell := range y {
		for b := range cell {
			seen[b] = true
		}
	}
	blocks := slices.Sorted(maps.Keys(seen))
	mean := Map(y, func(cell map[int]float64) (m float64) {
		for _, b := range blocks {
			m += cell[b] / float64(len(cell))
		}
		return m
	})
	products, divisor := 0.0, 0.0
	for _, b := range blocks {
		n, sum, squares := 0.0, 0.0, 0.0
		for c, cell := range y {
			if x, ok := cell[b]; ok {
				n, sum, squares = n+1, sum+x-mean[c], squares+(x-mean[c])*(x-mean[c])
			}
		}
		products += sum*sum - squares
		for _, other := range blocks {
			share, squares := 0.0, 0.0 // of a cell's blocks, over the cells that have both
			for _, cell := range y {
				_, one := cell[b]
				if _, two := cell[other]; one && two {
					share, squares = share+1/float64(len(cell)), squares+1/float64(len(cell)*len(cell))
				}
			}
			if divisor += share*share - squares; other == b {
				divisor += (n - 1) * (n - 2*share)
			}
		}
	}
	if !(divisor > 1e-9) {
		return 0, false
	}
	return max(0, products/divisor), true
}

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
