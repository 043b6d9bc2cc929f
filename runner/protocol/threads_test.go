package protocol

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/runner/machine"
)

func TestThreadWarnings(t *testing.T) {
	unlimited := math.Inf(1)
	for _, c := range []struct {
		name    string
		threads *Threads
		quota   float64
		want    []string // code, and what the text says
	}{
		{"what was asked for", &Threads{4, 8, 8, 8, nil, ""}, unlimited, nil},
		{"a runtime that does not tell", nil, 1, nil},
		{"a system that does not tell which processors", &Threads{4, 8, 0, 0, nil, ""}, unlimited, nil},
		{"fewer in prefill", &Threads{4, 6, 8, 8, nil, ""}, unlimited, []string{"fewer_threads: prefill has 6 threads, 8 were asked for"}},
		{"fewer in both", &Threads{2, 2, 8, 8, nil, ""}, unlimited, []string{"fewer_threads: decode has 2 threads, 4 were asked for; prefill has 2 threads, 8"}},
		{"pinned", &Threads{4, 8, 1, 1, nil, ""}, unlimited, []string{"threads_share_cpus: decode has 4 threads, which may run on 1", "threads_share_cpus: prefill has 8 threads"}},
		{"enough for decode", &Threads{4, 8, 4, 4, nil, ""}, unlimited, []string{"threads_share_cpus: prefill has 8 threads, which may run on 4"}},
		{"a quota below both", &Threads{4, 8, 8, 8, nil, ""}, 1.5, []string{"threads_beyond_quota: decode has 4 threads, and the control group grants the time of 1.5 processors", "threads_beyond_quota: prefill has 8"}},
		{"a quota of just decode's", &Threads{4, 8, 8, 8, nil, ""}, 4, []string{"threads_beyond_quota: prefill"}},
		{"fewer threads that share a processor", &Threads{2, 2, 1, 1, nil, ""}, 0.5, []string{"fewer_threads: ", "threads_share_cpus: decode has 2"}},
	} {
		asked := LoadSpec{Threads: 4, ThreadsBatch: 8}
		got := c.threads.Warnings("b", &asked, c.quota)
		ok := len(got) == len(c.want)
		for i := range got {
			ok = ok && got[i].Where == "b" && got[i].Advice != "" && strings.HasPrefix(got[i].Code+": "+got[i].Text, c.want[i])
		}
		if !ok {
			t.Errorf("%s: %+v, want %q", c.name, got, c.want)
		}
	}
}

// The quota in the files of a control group, of either version, warns of the threads beyond it.
func TestThreadsBeyondAControlGroupsQuota(t *testing.T) {
	for _, c := range []struct {
		membership string
		files      map[string]string
		quota      float64
	}{
		{"0::/run/job", map[string]string{"run/job/cpu.max": "150000 100000", "run/cpu.max": "max 100000"}, 1.5},
		{"0::/run/job", map[string]string{"run/job/cpu.max": "max 100000", "run/cpu.max": "50000 100000"}, 0.5},
		{"4:cpu,cpuacct:/job", map[string]string{"cpu/job/cpu.cfs_quota_us": "250000", "cpu/job/cpu.cfs_period_us": "100000"}, 2.5},
		{"4:cpu,cpuacct:/job", map[string]string{"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"}, math.Inf(1)},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			file := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text+"\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		quota := machine.GroupCPUQuota(root, c.membership)
		if quota != c.quota {
			t.Errorf("%v grants %g processors, want %g", c.files, quota, c.quota)
		}
		asked := LoadSpec{Threads: 3, ThreadsBatch: 3}
		got := (&Threads{3, 3, 8, 8, nil, ""}).Warnings("b", &asked, quota)
		if limited := c.quota < 3; len(got) != map[bool]int{true: 1, false: 0}[limited] || limited && !strings.Contains(got[0].Text, fmt.Sprintf("the time of %.3g processors", c.quota)) {
			t.Errorf("%v: %+v", c.files, got)
		}
	}
}

// llama.cpp's choice of a team: more than one token at once is prefill's, whatever the phase.
func TestTeamOfCall(t *testing.T) {
	loaded := Threads{Decode: 2, Prefill: 3, CPUs: 5, CPUsPrefill: 6}
	for _, c := range []struct {
		sequences, ubatch, prompt int
		decode, prefill, cpus     int
	}{
		{0, 512, 5, 2, 3, 5}, {1, 512, 5, 2, 3, 5},
		{1, 512, 0, 2, 3, 5}, // a text
		{1, 512, 1, 2, 2, 5},
		{4, 512, 5, 3, 3, 6}, {4, 512, 1, 3, 3, 6},
		{1, 1, 5, 2, 2, 5}, {4, 1, 5, 2, 2, 5}, // token by token
	} {
		got := loaded.OfCall(LoadSpec{Sequences: c.sequences, NUBatch: c.ubatch}, c.prompt)
		if got.Decode != c.decode || got.Prefill != c.prefill || got.CPUs != c.cpus {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

func TestAffinityOnRecord(t *testing.T) {
	for want, threads := range map[string][]string{"": nil, "0-3": {"0-3", "0-3"}, "0 2-3": {"0", "2-3"}, "5": {"5"}} {
		if got := AffinityOf(threads); got != want {
			t.Errorf("%q: %q", threads, got)
		}
	}
	for _, c := range []struct {
		asked   []int
		threads []string
		ok      bool
	}{
		{nil, []string{"0-3"}, true},
		{[]int{2, 0}, []string{"2", "0"}, true},
		{[]int{2, 0}, []string{"0", "2"}, true},
		{[]int{2, 0, 4}, []string{"2", "0"}, true}, // fewer threads
		{[]int{2, 0}, []string{"0-3", "0-3"}, false},
		{[]int{2, 0}, []string{"2", "2"}, false},
		{[]int{2, 0}, []string{"2", "0", "4"}, false},
	} {
		if err := CheckAffinity("decode", c.asked, c.threads); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
