package profile

import (
	"cmp"
	"fmt"
	"slices"
)

// New makes the account of what was recorded. It fails with ErrNoWork if any step is without a kernel or operation.
func New(in *Input) (*Profile, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	steps, outside := in.assign()
	for i, s := range steps {
		if s.computing() == 0 {
			return nil, fmt.Errorf("profile: %s: %w (%d activities in all, %d of them in no step)", stepName(i), ErrNoWork, len(in.Activities), outside)
		}
	}
	p := &Profile{
		Complete: in.Dropped == 0 && in.Untimed == 0, Warnings: []string{},
		DroppedRecords: in.Dropped, UntimedRecords: in.Untimed, OutsideRecords: int64(outside), ClockErrorNS: in.ClockErrorNS,
	}
	if lost := in.Dropped + in.Untimed; lost > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d records are lost (%d dropped, %d without a time): counts and busy time are too low; profile fewer tokens", lost, in.Dropped, in.Untimed))
	}
	p.Phases = append(p.Phases, in.phase("prefill", steps[:1], in.UnprofiledPrefillNS))
	if len(steps) > 1 {
		p.Phases = append(p.Phases, in.phase("decode", steps[1:], in.UnprofiledTokenNS))
	}
	for _, ph := range p.Phases {
		if ph.PerStepMin != ph.PerStepMax {
			p.Warnings = append(p.Warnings, fmt.Sprintf("the steps of %s have between %d and %d kernels or operations: per-step counts are means. "+
				"Llama.cpp chooses other kernels as the cache grows; if the difference is large, records may be missing", ph.Name, ph.PerStepMin, ph.PerStepMax))
		}
		if ph.ProfilingRatio != nil && *ph.ProfilingRatio < 0.9 {
			p.Warnings = append(p.Warnings, fmt.Sprintf("%s took %.2f of its unprofiled time while profiled, which profiling cannot explain: the machine was busy or cold before; profile again", ph.Name, *ph.ProfilingRatio))
		}
	}
	return p, nil
}

// stepWork is a step and what was done in it, by start.
type stepWork struct {
	index int
	step  Step
	work  []*Activity
}

func (s *stepWork) computing() int {
	n := 0
	for _, a := range s.work {
		if computes(a.Kind) {
			n++
		}
	}
	return n
}

func computes(kind string) bool { return kind == Op || kind == Kernel }

func stepName(i int) string {
	if i == 0 {
		return "prefill"
	}
	return fmt.Sprintf("decode step %d", i)
}

// assign gives each activity to the step in which its middle lies: near a step's bounds the clocks' error may put an
// end of it outside.
func (in *Input) assign() (steps []stepWork, outside int) {
	steps = make([]stepWork, len(in.Steps))
	for i, s := range in.Steps {
		steps[i] = stepWork{index: i, step: s}
	}
	for i := range in.Activities {
		a := &in.Activities[i]
		middle := a.StartNS + (a.EndNS-a.StartNS)/2
		// The last step that starts before it, give or take the clocks' error.
		at, _ := slices.BinarySearchFunc(in.Steps, middle, func(s Step, t int64) int {
			if s.StartNS-in.ClockErrorNS <= t {
				return -1
			}
			return 1
		})
		if at == 0 || middle > in.Steps[at-1].EndNS+in.ClockErrorNS {
			outside++
			continue
		}
		steps[at-1].work = append(steps[at-1].work, a)
	}
	for i := range steps {
		slices.SortStableFunc(steps[i].work, func(a, b *Activity) int { return cmp.Compare(a.StartNS, b.StartNS) })
	}
	return steps, outside
}

func (in *Input) phase(name string, steps []stepWork, unprofiled []int64) Phase {
	ph := Phase{Name: name, Steps: len(steps), TokensPerStep: steps[0].step.Tokens, Rows: []Row{}, Copies: []Copy{}, Gaps: Gaps{Longest: []Gap{}}}
	rows := map[[3]string]*Row{}
	copies := map[[2]string]*Copy{}
	var work []int64
	for i := range steps {
		s := &steps[i]
		length := s.step.EndNS - s.step.StartNS
		ph.StepNS = append(ph.StepNS, length)
		sum := int64(0)
		for _, a := range s.work {
			ns := a.EndNS - a.StartNS
			sum += ns
			if computes(a.Kind) {
				key := [3]string{a.Kind, a.Name, a.Class}
				r := rows[key]
				if r == nil {
					r = &Row{Kind: a.Kind, Name: a.Name, Class: a.Class}
					rows[key] = r
				}
				r.Count++
				r.TotalNS += ns
				r.Bytes += a.Bytes
				continue
			}
			key := [2]string{a.Kind, a.Name}
			c := copies[key]
			if c == nil {
				c = &Copy{Kind: a.Kind, Name: a.Name}
				copies[key] = c
			}
			c.Count++
			c.TotalNS += ns
			c.Bytes += a.Bytes
		}
		n := s.computing()
		if i == 0 || n < ph.PerStepMin {
			ph.PerStepMin = n
		}
		ph.PerStepMax = max(ph.PerStepMax, n)
		work = append(work, sum)
		ph.WorkNS += sum
		idle := ph.Gaps.add(s)
		ph.IdleNS += idle
		ph.BusyNS += length - idle
	}
	ph.BusyShare = float64(ph.BusyNS) / float64(ph.BusyNS+ph.IdleNS)
	ph.Gaps.shorten()
	ph.StepMedianNS = median(ph.StepNS)
	ph.WorkMedianPerStep = median(work)
	if len(unprofiled) > 0 {
		m := median(unprofiled)
		ph.UnprofiledNS = &m
		if m > 0 {
			profiled, worked := float64(ph.StepMedianNS)/float64(m), float64(ph.WorkMedianPerStep)/float64(m)
			ph.ProfilingRatio, ph.WorkRatio = &profiled, &worked
		}
	}
	for _, r := range rows {
		r.MeanNS = float64(r.TotalNS) / float64(r.Count)
		r.PerStep = float64(r.Count) / float64(ph.Steps)
		if ph.WorkNS > 0 {
			r.Share = float64(r.TotalNS) / float64(ph.WorkNS)
		}
		ph.Rows = append(ph.Rows, *r)
	}
	slices.SortFunc(ph.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.TotalNS, a.TotalNS), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Class, b.Class))
	})
	for _, c := range copies {
		ph.Copies = append(ph.Copies, *c)
	}
	slices.SortFunc(ph.Copies, func(a, b Copy) int {
		return cmp.Or(cmp.Compare(b.TotalNS, a.TotalNS), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return ph
}

// median of an even number is the lower of the two in the middle: a time that was measured.
func median(x []int64) int64 {
	s := slices.Sorted(slices.Values(x))
	return s[(len(s)-1)/2]
}
