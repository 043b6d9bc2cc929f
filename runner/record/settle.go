package record

// Settlement is what records settle of a run's plan: --resume makes the calls that it leaves open, and a report tells of
// it. Its zero value has heard of no record.
type Settlement struct {
	Cells map[int]*Cell // by TaskIdx; those of which there are records
}

// Cell is what is settled of a model x backend x scenario.
type Cell struct {
	Failure string // status of its failures, "" without one; a result goes before what may be mended
	Stands  bool   // it was tried and ran out of memory, which is a result: it is not tried again
	reps    map[place]repetition
}

// place names a repetition of a cell: each block has its own.
type place struct{ replicate, rep int }

// repetition is what all records of one say.
type repetition struct {
	whole   bool // its last record is there: the writing was not cut off
	counts  bool // of one of its modes at least
	lasting bool // what spoilt it would do so again
}

// Add takes a record of a cell into account. Lines do not tell how many calls were made: a cell that failed has three in place of
// all its calls', and a resumed one is warmed up again.
func (s *Settlement) Add(task, replicate int, r *Outcome) {
	if r.OK() && (r.IsWarmup || r.Rep == nil) {
		return
	}
	if s.Cells == nil {
		s.Cells = map[int]*Cell{}
	}
	c := s.Cells[task]
	if c == nil {
		c = &Cell{reps: map[place]repetition{}}
		s.Cells[task] = c
	}
	if !r.OK() {
		c.Stands = c.Stands || r.Status == StatusOOM && r.Attempted
		if !IsResult(c.Failure) {
			c.Failure = r.Status
		}
		return
	}
	at := place{replicate, *r.Rep}
	rep := c.reps[at]
	rep.whole = rep.whole || r.Mode == ModeE2E
	rep.counts = rep.counts || r.Counts()
	rep.lasting = rep.lasting || r.Invalid() && r.willBeSpoiltAgain()
	c.reps[at] = rep
}

// IsResult reports whether a failure's status is a result, which leaves a run complete: it did not fit, or this machine
// cannot run it.
func IsResult(status string) bool { return status == StatusOOM || status == StatusWaived }

// Done reports whether a repetition's call is not to be made again. What spoilt all of its modes may be gone by the next
// time, but for what lasts; what spoilt some of them (a prompt that a server remembers) would do so again.
func (s *Settlement) Done(task, replicate, rep int) bool {
	c := s.Cells[task]
	if c == nil {
		return false
	}
	r := c.reps[place{replicate, rep}]
	return r.whole && (r.counts || r.lasting)
}

// Stands reports whether a cell is not tried again.
func (s *Settlement) Stands(task int) bool { return s.Cells[task] != nil && s.Cells[task].Stands }

// Repetitions counts those of the cell that were measured and are on record whole: those of which a mode counts, and
// those that something spoilt in all modes.
func (c *Cell) Repetitions() (counting, spoilt int) {
	for _, rep := range c.reps {
		switch {
		case rep.whole && rep.counts:
			counting++
		case rep.whole:
			spoilt++
		}
	}
	return counting, spoilt
}
