package runner

import (
	"fmt"
	"strings"

	"llmscale/internal/text"
)

// Threads is which threads compute, as the runtime's own teams tell.
type Threads struct {
	Decode      int `json:"decode"`
	Prefill     int `json:"prefill"`
	CPUs        int `json:"cpus"`         // that decode's threads may run on, all of them together; 0: the system does not tell
	CPUsPrefill int `json:"cpus_prefill"` // the same of prefill's

	Affinity string `json:"affinity"` // record's cpu_affinity, of prefill's threads where they are more; "": the system does not tell
}

// of is the threads that compute a call's prefill and decode. llama.cpp takes prefill's wherever it computes more than
// one token at once: in each step of a batch too, and not for a prompt of one token. prompt is the tokens of each
// sequence's prompt; 0: not known, and taken as more than one.
func (t Threads) of(load LoadSpec, prompt int) Threads {
	one := func(tokens int) bool { return tokens == 1 || load.NUBatch == 1 }
	sequences := load.Batch()
	out := t
	if one(sequences * prompt) {
		out.Prefill, out.CPUsPrefill = t.Decode, t.CPUs
	}
	if !one(sequences) {
		out.Decode, out.CPUs = t.Prefill, t.CPUsPrefill
	}
	return out
}

// threadWarnings compares the threads that compute with those that were asked for, and with the processors that they
// have: times of threads that wait for each other are of another machine than the one on record.
func threadWarnings(j *Job, t *Threads, quota float64) []Warning {
	if t == nil {
		return nil
	}
	where := j.Backend.Name // the same for all of its models
	var out []Warning
	var fewer []string
	for _, x := range []struct {
		what       string
		asked, got int
	}{{"decode", j.Load.Threads, t.Decode}, {"prefill", j.Load.ThreadsBatch, t.Prefill}} {
		if x.got != x.asked {
			fewer = append(fewer, fmt.Sprintf("%s has %s, %d were asked for", x.what, text.Counted(x.got, "thread", "threads"), x.asked))
		}
	}
	if len(fewer) > 0 {
		out = append(out, Warning{Code: "fewer_threads", Where: where, Text: strings.Join(fewer, "; "),
			Advice: "unset OMP_THREAD_LIMIT and OMP_DYNAMIC, or ask for no more threads than there are; n_threads on record is what computed"})
	}
	crowded := func(what string, threads, cpus int) {
		switch {
		case threads > cpus && cpus > 0:
			out = append(out, Warning{Code: "threads_share_cpus", Where: where, Text: fmt.Sprintf("%s has %s, which may run on %d of the processors", what, text.Counted(threads, "thread", "threads"), cpus),
				Advice: "ask for no more threads than processors, or widen the affinity (taskset, GOMP_CPU_AFFINITY, OMP_PLACES): threads that take turns on a processor wait for each other at every operation"})
		case float64(threads) > quota:
			out = append(out, Warning{Code: "threads_beyond_quota", Where: where, Text: fmt.Sprintf("%s has %s, and the control group grants the time of %.3g processors", what, text.Counted(threads, "thread", "threads"), quota),
				Advice: "ask for no more threads than the quota grants, or raise it (cpu.max): the kernel stops all of them in the middle of a token once the time is used up"})
		}
	}
	crowded("decode", t.Decode, t.CPUs)
	if t.Prefill != t.Decode || t.CPUsPrefill != t.CPUs {
		crowded("prefill", t.Prefill, t.CPUsPrefill)
	}
	return out
}
