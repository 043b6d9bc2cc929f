package law

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"llmscale/analysis/stats"
)

// chained has what all fits of broken lines over the same u share. Sums from each u on
// make the cost of a fit that of its breaks, whatever the number of points.
type chained struct {
	u       []float64 // rising, about their mean
	mean    float64
	order   []int     // of the u in the points
	n, s, q []float64 // from each u on: number, sum, sum of squares
	sizes   []float64 // different u at which a break may lie
	at      []int     // their indices in u, the last of each
	knots   []float64 // where the second of two breaks is tried: sizes, and places between
}

// tried is about how many places two breaks are tried at: all pairs of them are.
const tried = 25

func chain(u []float64) *chained {
	c := &chained{mean: stat.Mean(u, nil), order: make([]int, len(u))}
	for i := range c.order {
		c.order[i] = i
	}
	slices.SortStableFunc(c.order, func(a, b int) int { return cmp.Compare(u[a], u[b]) })
	c.u = stats.Map(c.order, func(i int) float64 { return u[i] - c.mean })
	n := len(c.u)
	c.n, c.s, c.q = make([]float64, n+1), make([]float64, n+1), make([]float64, n+1)
	for i := n - 1; i >= 0; i-- {
		c.n[i], c.s[i], c.q[i] = c.n[i+1]+1, c.s[i+1]+c.u[i], c.q[i+1]+c.u[i]*c.u[i]
	}
	for i := range n {
		if i == n-1 || c.u[i] < c.u[i+1] {
			c.sizes, c.at = append(c.sizes, c.u[i]), append(c.at, i)
		}
	}
	if len(c.sizes) < sizes(OneBreak) {
		c.sizes, c.at = nil, nil
		return c
	}
	c.sizes, c.at = c.sizes[besides-1:len(c.sizes)-besides+1], c.at[besides-1:len(c.at)-besides+1]
	gaps := len(c.sizes) - 1
	steps, stride := max(1, tried/max(1, gaps)), max(1, gaps/tried)
	for i := 0; i < gaps; i += stride {
		next := c.sizes[min(i+stride, gaps)]
		for k := range steps {
			c.knots = append(c.knots, c.sizes[i]+(next-c.sizes[i])*float64(k)/float64(steps))
		}
	}
	c.knots = append(c.knots, c.sizes[gaps])
	return c
}

// sums are what a fit needs of y: its sum and that of u*y from each u on, and the sum
// of its squares. y is about its mean.
type sums struct {
	y, uy []float64
	whole float64
}

func (c *chained) of(y []float64) sums {
	n, mean := len(y), stat.Mean(y, nil)
	s := sums{y: make([]float64, n+1), uy: make([]float64, n+1)}
	for i := n - 1; i >= 0; i-- {
		v := y[c.order[i]] - mean
		s.y[i], s.uy[i] = s.y[i+1]+v, s.uy[i+1]+c.u[i]*v
		s.whole += v * v
	}
	return s
}

// after is the first u above a knot.
func (c *chained) after(knot float64) int {
	i, _ := slices.BinarySearch(c.u, math.Nextafter(knot, math.Inf(1)))
	return i
}

// error is the sum of squares that a line with breaks at these knots leaves of y: least
// squares on u and on what lies beyond each knot, all about their means.
func (c *chained) error(s sums, at ...float64) float64 {
	var m [3][3]float64
	var b, z [3]float64
	var sum [2]float64
	n := c.n[0]
	m[0][0], b[0] = c.q[0]-c.s[0]*c.s[0]/n, s.uy[0]-c.s[0]*s.y[0]/n
	for j, k := range at {
		i := c.after(k)
		sum[j] = c.s[i] - k*c.n[i]
		m[0][j+1] = c.q[i] - k*c.s[i] - c.s[0]*sum[j]/n
		m[j+1][j+1] = c.q[i] - 2*k*c.s[i] + k*k*c.n[i] - sum[j]*sum[j]/n
		b[j+1] = s.uy[i] - k*s.y[i] - sum[j]*s.y[0]/n
		if j == 1 {
			m[1][2] = c.q[i] - (at[0]+at[1])*c.s[i] + at[0]*at[1]*c.n[i] - sum[0]*sum[1]/n
		}
	}
	// Cholesky, row by row. What is explained are the squares of the forward solution.
	var l [3][3]float64
	left := s.whole
	for i := range len(at) + 1 {
		for j := range i + 1 {
			v := m[j][i]
			for k := range j {
				v -= l[i][k] * l[j][k]
			}
			switch {
			case i != j:
				l[i][j] = v / l[j][j]
			case !(v > 1e-12*m[i][i]):
				return math.Inf(1)
			default:
				l[i][i] = math.Sqrt(v)
			}
		}
		z[i] = b[i]
		for k := range i {
			z[i] -= l[i][k] * z[k]
		}
		z[i] /= l[i][i]
		left -= z[i] * z[i]
	}
	return max(left, 0)
}

// one is the best place of one break, exactly: at a size, or where the lines through
// the points below and above a gap meet in it (Hudson 1966).
func (c *chained) one(s sums) (at, least float64) {
	least = math.Inf(1)
	look := func(k float64) {
		if e := c.error(s, k); e < least {
			least, at = e, k
		}
	}
	for i, k := range c.sizes {
		look(k)
		if i+1 == len(c.sizes) {
			break
		}
		j := c.at[i] + 1
		a0, b0 := line(c.n[0]-c.n[j], c.s[0]-c.s[j], c.q[0]-c.q[j], s.y[0]-s.y[j], s.uy[0]-s.uy[j])
		a1, b1 := line(c.n[j], c.s[j], c.q[j], s.y[j], s.uy[j])
		if meet := (a1 - a0) / (b0 - b1); meet > k && meet < c.sizes[i+1] {
			look(meet)
		}
	}
	return at, least
}

// line is the intercept and the slope by sums.
func line(n, s, q, y, uy float64) (a, b float64) {
	b = (uy - s*y/n) / (q - s*s/n)
	return (y - b*s) / n, b
}

// two is the best pair of places of the knots.
func (c *chained) two(s sums) (at [2]float64, least float64) {
	least = math.Inf(1)
	for i, a := range c.knots {
		for _, b := range c.knots[i+1:] {
			if c.apart(a, b) {
				if e := c.error(s, a, b); e < least {
					least, at = e, [2]float64{a, b}
				}
			}
		}
	}
	return at, least
}

// apart is whether two breaks have sizes enough from the one to the other, those at
// them among these.
func (c *chained) apart(a, b float64) bool {
	if a >= b {
		return false
	}
	i, _ := slices.BinarySearch(c.sizes, a)
	return i+besides-1 < len(c.sizes) && c.sizes[i+besides-1] <= b
}

// place is where so many breaks lie, and the error that they leave; of two, better than
// the knots tell. Without a place the error is infinite.
func (c *chained) place(s sums, breaks int) (at []float64, least float64) {
	switch breaks {
	case 0:
		return nil, c.error(s)
	case 1:
		k, least := c.one(s)
		return []float64{k}, least
	}
	pair, least := c.two(s)
	return pair[:], c.refine(pair[:], least, []int{0, 1}, func(p []float64) float64 { return c.error(s, p...) })
}

// refine moves some breaks of a pair to where the error is least, nearer than the knots
// lie, and gives that error.
func (c *chained) refine(pair []float64, least float64, which []int, errorOf func([]float64) float64) float64 {
	if math.IsInf(least, 1) {
		return least
	}
	first, last := c.sizes[0], c.sizes[len(c.sizes)-1]
	for step := (last - first) / float64(len(c.knots)-1); step > 1e-6; {
		moved := false
		for _, j := range which {
			was := pair[j]
			for _, d := range []float64{-step, step} {
				pair[j] = was + d
				if pair[0] < first || pair[1] > last || !c.apart(pair[0], pair[1]) {
					continue
				}
				if e := errorOf(pair); e < least {
					least, was, moved = e, pair[j], true
				}
			}
			pair[j] = was
		}
		if !moved {
			step /= 2
		}
	}
	return least
}

// pinned is the least error with break j of so many at a place.
func (c *chained) pinned(s sums, breaks, j int, at float64) float64 {
	if breaks == 1 {
		return c.error(s, at)
	}
	least, best := math.Inf(1), []float64{at, at}
	for _, other := range c.knots {
		pair := []float64{at, at}
		pair[1-j] = other
		if c.apart(pair[0], pair[1]) {
			if e := c.error(s, pair...); e < least {
				least, best = e, pair
			}
		}
	}
	return c.refine(best, least, []int{1 - j}, func(p []float64) float64 { return c.error(s, p...) })
}
