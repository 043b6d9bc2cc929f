package protocol

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/internal/text"
	"llmscale/runner/record"
)

// AffinityOf writes the processors that each thread may run on as a record has them.
func AffinityOf(threads []string) string {
	for _, list := range threads {
		if list != threads[0] {
			return strings.Join(threads, " ")
		}
	}
	if len(threads) == 0 {
		return ""
	}
	return threads[0]
}

// CheckAffinity says what is wrong where threads were to be bound to a processor each, in whichever order, and are not.
func CheckAffinity(what string, asked []int, threads []string) error {
	if asked == nil {
		return nil
	}
	var want []string
	for _, cpu := range asked[:min(len(threads), len(asked))] {
		want = append(want, strconv.Itoa(cpu))
	}
	if !slices.Equal(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(threads))) {
		return fmt.Errorf("cpu_affinity asks for the processors %s, and the threads of %s may run on %s: this build's runtime does not bind them",
			strings.Join(want, " "), what, strings.Join(threads, " "))
	}
	return nil
}

// Threads is which threads compute, as the runtime's own teams tell.
type Threads struct {
	Decode      int `json:"decode"`
	Prefill     int `json:"prefill"`
	CPUs        int `json:"cpus"`         // that decode's threads may run on, all of them together; 0: the system does not tell
	CPUsPrefill int `json:"cpus_prefill"` // the same of prefill's

	Nice     *int   `json:"nice,omitempty"` // of decode's first thread, as the system tells; nil: it does not
	Affinity string `json:"affinity"`       // record's cpu_affinity, of prefill's threads where they are more; "": the system does not tell
}

// OfCall is the threads that compute a call's prefill and decode. llama.cpp takes prefill's wherever it computes more than
// one token at once: in each step of a batch too, and not for a prompt of one token. prompt is the tokens of each
// sequence's prompt; 0: not known, and taken as more than one.
func (t Threads) OfCall(load LoadSpec, prompt int) Threads {
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

// Warnings compares the threads that compute with those that were asked for, and with the processors that they
// have: times of threads that wait for each other are of another machine than the one on record.
func (t *Threads) Warnings(where string, asked *LoadSpec, quota float64) []record.Warning {
	if t == nil {
		return nil
	}
	var out []record.Warning
	var fewer []string
	for _, x := range []struct {
		what      string
		want, got int
	}{{"decode", asked.Threads, t.Decode}, {"prefill", asked.ThreadsBatch, t.Prefill}} {
		if x.got != x.want {
			fewer = append(fewer, fmt.Sprintf("%s has %s, %d were asked for", x.what, text.Counted(x.got, "thread", "threads"), x.want))
		}
	}
	if len(fewer) > 0 {
		out = append(out, record.Warning{Code: "fewer_threads", Where: where, Text: strings.Join(fewer, "; "),
			Advice: "unset OMP_THREAD_LIMIT and OMP_DYNAMIC, or ask for no more threads than there are; n_threads on record is what computed"})
	}
	crowded := func(what string, threads, cpus int) {
		switch {
		case threads > cpus && cpus > 0:
			out = append(out, record.Warning{Code: "threads_share_cpus", Where: where, Text: fmt.Sprintf("%s has %s, which may run on %d of the processors", what, text.Counted(threads, "thread", "threads"), cpus),
				Advice: "ask for no more threads than processors, or widen the affinity (taskset, GOMP_CPU_AFFINITY, OMP_PLACES): threads that take turns on a processor wait for each other at every operation"})
		case float64(threads) > quota:
			out = append(out, record.Warning{Code: "threads_beyond_quota", Where: where, Text: fmt.Sprintf("%s has %s, and the control group grants the time of %.3g processors", what, text.Counted(threads, "thread", "threads"), quota),
				Advice: "ask for no more threads than the quota grants, or raise it (cpu.max): the kernel stops all of them in the middle of a token once the time is used up"})
		}
	}
	crowded("decode", t.Decode, t.CPUs)
	if t.Prefill != t.Decode || t.CPUsPrefill != t.CPUs {
		crowded("prefill", t.Prefill, t.CPUsPrefill)
	}
	return out
}
