package telemetry

import (
	"maps"
	"runtime"
	"sync"
	"time"
)

// DefaultCapacity is how many samples a Sampler keeps: at one every 20 ms the last 44 minutes, in 20 MiB
// that grow as they fill.
const DefaultCapacity = 1 << 17

// DefaultEvery suits the sensors: the power sensor and the energy counter of the data centre cards change
// every 20 to 100 ms, so that faster sampling sees the same value again and only costs more.
const DefaultEvery = 20 * time.Millisecond

// A Sampler reads a device's sensors at a steady pace until it is stopped.
//
// How it runs: one goroutine owns the reader and the device. It is locked to an OS thread, because an NVML
// call can wait for the driver's lock for milliseconds and must not hold up a thread that the scheduler
// lends to others. It takes a sample when it starts, one at each due time, and one more when it is
// stopped, so that any window between Start and Stop has a sample on both sides. Due times are multiples
// of the pace from the start; where NVML takes longer than that, the due times gone by are skipped and
// counted, not made up for in a burst.
//
// The goroutine alone writes, under mu, so that Series may be called at any time. It ends when stop is
// closed or when the GPU is lost, and closes done.
type Sampler struct {
	every time.Duration
	stop  chan struct{}
	done  chan struct{}
	once  sync.Once

	mu      sync.Mutex
	ring    ring
	skipped int64
	reasons map[string]string
	ended   string
}

// Start begins to sample dev every so often, keeping DefaultCapacity samples. The device must stay open
// until Stop has returned. It panics if every is not positive.
func Start(dev Sensors, every time.Duration) *Sampler {
	return start(dev, every, DefaultCapacity, Now)
}

func start(dev Sensors, every time.Duration, capacity int, now func() int64) *Sampler {
	if every <= 0 {
		panic("telemetry: Start: every must be positive")
	}
	s := &Sampler{
		every: every, stop: make(chan struct{}), done: make(chan struct{}),
		ring: ring{capacity: capacity}, reasons: map[string]string{},
	}
	go s.run(newReader(dev, now), now)
	return s
}

func (s *Sampler) run(r *reader, now func() int64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.done)
	every := s.every.Nanoseconds()
	due := now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if !s.sample(r) {
				return
			}
			t := now()
			next, missed := nextDue(due, t, every)
			if missed > 0 {
				s.mu.Lock()
				s.skipped += missed
				s.mu.Unlock()
			}
			due = next
			timer.Reset(time.Duration(due - t))
		case <-s.stop:
			s.sample(r)
			return
		}
	}
}

// nextDue is the first due time after t, due being the one just served, and how many went by unserved.
func nextDue(due, t, every int64) (next, missed int64) {
	next = due + every
	if next > t {
		return next, 0
	}
	missed = (t-next)/every + 1
	return next + missed*every, missed
}

// sample takes one and says whether the device is still there. The lock is held only to store it: Series
// must not wait for NVML, nor NVML for Series.
func (s *Sampler) sample(r *reader) bool {
	smp := r.take()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring.add(smp)
	if r.changed {
		s.reasons = r.nullReasons()
	}
	if r.lost != nil {
		s.ended = "the GPU does not answer any more: " + r.lost.Error()
	}
	return r.lost == nil
}

// Stop takes the last sample, ends the goroutine and returns the series. Calling it again returns the
// same.
func (s *Sampler) Stop() Series {
	s.once.Do(func() { close(s.stop) })
	<-s.done
	return s.Series()
}

// Series returns what was sampled so far, a copy.
func (s *Sampler) Series() Series {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Series{
		EveryNS: s.every.Nanoseconds(), Samples: s.ring.ordered(),
		Dropped: s.ring.dropped, DroppedToNS: s.ring.droppedTo, Skipped: s.skipped,
		Cost: s.ring.cost(), NullReasons: maps.Clone(s.reasons), Ended: s.ended,
	}
}
