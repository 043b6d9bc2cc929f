package merge

import (
	"slices"

	"llmscale/runner"
	"llmscale/runner/record"
)

// state is how far a shard has come.
type state struct {
	of      *source
	settled record.Settlement
	model   map[int]string // of the cells that have records
	records int
	left    int // bytes at the end that a killed coordinator left unfinished
}

func newState(s *source) *state { return &state{of: s, model: map[int]string{}} }

func (s *state) add(m *made) {
	for i := range m.outcomes {
		o := &m.outcomes[i]
		s.settled.Add(o.task, o.replicate, &o.Outcome)
		s.model[o.task] = o.model
	}
	s.records += len(m.outcomes)
	s.left += m.left
}

// lacking counts the repetitions that a resumed session would make: those that were not made, and those of cells that
// failed, but for what is a result. status has the cells that are not ok.
func (s *state) lacking() (n int, status map[int]string) {
	status = map[int]string{}
	reps := s.of.m.Repetitions
	for _, part := range s.of.shard().Parts {
		n += part.Cells * reps
	}
	for task, c := range s.settled.Cells {
		counting, spoilt := c.Repetitions()
		n -= counting + spoilt
		blocks := 0
		for i := range s.of.shard().Parts {
			if part := &s.of.shard().Parts[i]; part.Models == nil || slices.Contains(part.Models, s.model[task]) {
				blocks++
			}
		}
		open := blocks*reps - counting - spoilt
		if open > 0 && c.Failure != "" {
			status[task] = c.Failure
			if record.IsResult(c.Failure) {
				n -= open
			}
		}
	}
	return n, status
}

func (s *state) note() runner.MergedShard {
	n, _ := s.lacking()
	return runner.MergedShard{Shard: s.of.shard().Index, Folder: base(s.of.dir), State: s.of.m.RunState, Records: s.records, Lacking: n}
}

// Lacking is how many planned repetitions a shard's folder lacks.
func Lacking(dir string) (int, error) {
	s, err := open(dir)
	if err != nil {
		return 0, err
	}
	st := newState(s)
	if err := each([]*source{s}, true, func(_ *source, m *made) error { st.add(m); return nil }); err != nil {
		return 0, err
	}
	n, _ := st.lacking()
	return n, nil
}
