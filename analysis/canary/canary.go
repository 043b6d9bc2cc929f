// Package canary tells calls apart by the state of the machine: whether the fixed work before a call, its canary, took
// what it takes before most calls of the run.
package canary

import (
	"math"

	"llmscale/analysis/stats"
	"llmscale/runner/record"
)

// Team names threads that do the same known work, whatever model and backend they compute: backends of one team share
// a level, so that one that was measured in another state of the machine is seen.
type Team struct {
	Machine  string // a machine's state is told by itself, and not by others
	Threads  int
	Affinity string // as records have it
	Nice     int
	Device   string // cpu or cuda

	Program, Compiler, Flags string // the build, whose code the work is
}

// Call is the canary of one call; a part that was not measured is nil.
type Call struct {
	Team                      Team
	ReadMS, ComputeMS, SyncNS *float64
}

// Of is the canary of a record.
func Of(p *record.Phases, c *record.Costs, m *record.ModelFacts, f *record.RuntimeFacts) Call {
	t := Team{Threads: f.ThreadsBatch(), Device: f.Device, Program: f.Program, Compiler: f.BuildCompiler, Flags: f.BuildFlags}
	if p.PromptTokensRaw != nil && *p.PromptTokensRaw == 1 {
		t.Threads = f.Threads()
	}
	if f.Device != "cpu" && (f.NGPULayers < 0 || f.NGPULayers > m.NLayer) {
		t.Threads = 1 // the one that launches
	}
	if f.CPUAffinity != nil {
		t.Affinity = *f.CPUAffinity
	}
	if f.Nice != nil {
		t.Nice = *f.Nice
	}
	if f.MachineID != nil {
		t.Machine = *f.MachineID
	}
	return Call{Team: t, ReadMS: c.CanaryReadMS, ComputeMS: c.CanaryComputeMS, SyncNS: c.CanarySyncNS}
}

// A part is far off where it takes a quarter more or less than most of its team's do, and five of their standard
// deviations at that. Below a quarter a call is hardly touched (what takes a core for one tick of four milliseconds
// adds as much to a canary of a few), and five leave one call in a million of a machine whose canaries scatter
// normally, however widely.
const (
	farOff = 0.25
	farSDs = 5
)

// level is where the majority of a part's logarithms lies, and how far off it is far.
type level struct{ log, far float64 }

// logs are the logarithms of the parts; NaN: not measured.
func (c *Call) logs() (out [parts]float64) {
	for i, v := range []*float64{c.ReadMS, c.ComputeMS, c.SyncNS} {
		out[i] = math.NaN()
		if v != nil && *v > 0 {
			out[i] = math.Log(*v)
		}
	}
	return out
}

// Levels are what the canary takes before most calls of each team.
type Levels struct{ of map[Team][parts]level }

// Learn finds the levels of a run.
func Learn(calls []Call) Levels {
	logs := map[Team]*[parts][]float64{}
	for i := range calls {
		all := logs[calls[i].Team]
		if all == nil {
			all = new([parts][]float64)
			logs[calls[i].Team] = all
		}
		for p, v := range calls[i].logs() {
			if !math.IsNaN(v) {
				all[p] = append(all[p], v)
			}
		}
	}
	l := Levels{map[Team][parts]level{}}
	for team, all := range logs {
		var levels [parts]level
		for p := range all {
			center, sd := stats.Majority(all[p])
			levels[p] = level{center, max(math.Log(1+farOff), farSDs*sd)}
		}
		l.of[team] = levels
	}
	return l
}

// Off is how many times the majority's the call's canary took, by the part that is farthest off, and whether a part is
// far off: then the machine was in another state, whatever the call's own time was. known is false where the call had
// no canary, or none of its team was learnt.
func (l Levels) Off(c Call) (times float64, disturbed, known bool) {
	levels, most := l.of[c.Team], 0.0
	for p, v := range c.logs() {
		off := v - levels[p].log
		if math.IsNaN(off) || levels[p].far == 0 {
			continue
		}
		known = true
		disturbed = disturbed || math.Abs(off) > levels[p].far
		if math.Abs(off) > math.Abs(most) {
			most = off
		}
	}
	return math.Exp(most), disturbed, known
}

// parts are what a canary times.
const parts = 3

// partNames are theirs, in the order of Call.logs.
var partNames = [parts]string{"read", "compute", "meeting"}

// States are how many calls had a canary, how many of them are disturbed, and by what the team with most of these
// saw it: the part that is farthest off, as most calls have it and as the disturbed ones do.
type States struct {
	Calls     int     `json:"calls"`           // that had a canary
	Disturbed int     `json:"disturbed_calls"` // in another state than most
	Part      string  `json:"part"`            // of the canary, that differs most: read, compute or meeting
	Most      float64 `json:"most"`            // what it takes before most calls, in ms, or of a meeting in ns
	Other     float64 `json:"other"`           // before the disturbed ones
}

// Seen looks for the machine's states in the calls.
func (l Levels) Seen(calls []Call) (s States) {
	off := map[Team][]Call{}
	for _, c := range calls {
		_, disturbed, known := l.Off(c)
		if known {
			s.Calls++
		}
		if disturbed {
			s.Disturbed++
			off[c.Team] = append(off[c.Team], c)
		}
	}
	var team Team
	for t, calls := range off {
		if n := len(off[team]); len(calls) > n || len(calls) == n && t.Threads > team.Threads {
			team = t
		}
	}
	farthest := 0.0
	for p, level := range l.of[team] {
		var logs []float64
		for _, c := range off[team] {
			if v := c.logs()[p]; !math.IsNaN(v) {
				logs = append(logs, v)
			}
		}
		if other := stats.Median(logs); math.Abs(other-level.log) > farthest {
			farthest = math.Abs(other - level.log)
			s.Part, s.Most, s.Other = partNames[p], math.Exp(level.log), math.Exp(other)
		}
	}
	return s
}

// FewestProcesses is of how many processes a cell's figure is made without its disturbed calls; of a cell that has
// fewer it takes all of them.
const FewestProcesses = 3
