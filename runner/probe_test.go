package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/workertest"
)

// probed reads what the last session's manifest entry says of the probe.
func probed(t *testing.T, dir string) (note ProbeNote, ok bool) {
	t.Helper()
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.session().Ceilings; n != nil {
		return *n, true
	}
	return note, false
}

// TestRunStoresCeilings: each device that the run uses, with each number of
// threads, once, before the first cell.
func TestRunStoresCeilings(t *testing.T) {
	text := strings.Replace(testConfig, "dtype: f16, threads: 1}", "dtype: f16, threads: 3}\n  - {name: more, kind: native, device: cpu, dtype: q8_0, threads: 3}", 1)
	p := testPlan(t, text)
	dir, sum, _, q := execute(t, p, workertest.Command(t, ""))
	if sum.Failed() != 0 {
		t.Errorf("%+v", sum)
	}
	f, err := ceilings.Load(filepath.Join(dir, ceilings.FileName))
	if err != nil {
		t.Fatal(err)
	}
	var threads []int
	for _, d := range f.Devices {
		threads = append(threads, d.Threads)
		if d.Kind != ceilings.CPU || d.Session != 0 || !d.Quick || d.MeasuredAt.IsZero() || !(d.WallS > 0) {
			t.Errorf("%+v", d)
		}
	}
	slices.Sort(threads)
	if !slices.Equal(threads, []int{1, 3}) {
		t.Errorf("ceilings of %v threads, want of 1 and 3", threads)
	}
	if m, err := ReadManifest(dir); err != nil || m.Results["ceilings_json"] != ceilings.FileName {
		t.Errorf("the manifest's artifacts are %v (%v)", m.Results, err)
	}
	if e, ok := probed(t, dir); !ok || e.Devices != 2 || len(e.NotMeasured) != 0 || !(e.WallS > 0) {
		t.Errorf("the manifest says %+v", e)
	}
	if notes := q.failures(); len(notes) != 0 {
		t.Errorf("notes %q", notes)
	}
	probes := 0
	for i, s := range q.statuses {
		if s.Phase == PhaseProbe {
			probes = i + 1
		} else if probes == 0 || probes > i {
			t.Fatalf("status %d is %+v: the probes come first", i, s)
		}
	}
	if q.statuses[1].Share != 0.5 {
		t.Errorf("the probe's progress is shown as %v", q.statuses[1].Share)
	}
}

// TestFailedProbe costs its figures, and no cell.
func TestFailedProbe(t *testing.T) {
	for fault, want := range map[string]string{
		"error@probe": "fake: error", "SIGSEGV@probe": "ended by SIGSEGV", "exit@probe": "exited with code 7", "oom@probe": "did not fit",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			dir, sum, records, q := execute(t, testPlan(t, testConfig), workertest.Command(t, fault))
			if sum.Failed() != 0 || len(records) == 0 {
				t.Errorf("%+v", sum)
			}
			e, ok := probed(t, dir)
			if !ok || e.Devices != 0 || !strings.Contains(e.NotMeasured["cpu, 1 thread"], want) {
				t.Errorf("the manifest says %+v, want %q", e, want)
			}
			if notes := q.failures(); len(notes) != 1 || !strings.Contains(notes[0], want) {
				t.Errorf("notes %q", q.notes)
			}
			if _, err := os.Stat(filepath.Join(dir, ceilings.FileName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file of nothing: %v", err)
			}
		})
	}
}

func TestNoProbe(t *testing.T) {
	dir, sum, _, q := execute(t, testPlan(t, testConfig+"probe: false\n"), workertest.Command(t, "error@probe"))
	if sum.Failed() != 0 || len(q.failures()) != 0 {
		t.Errorf("%+v, %q", sum, q.notes)
	}
	if _, ok := probed(t, dir); ok {
		t.Error("the manifest has an entry of a probe")
	}
	if m, err := ReadManifest(dir); err != nil || m.Results["ceilings_json"] != "" {
		t.Errorf("the manifest's artifacts are %v (%v)", m.Results, err)
	}
}

// TestProbeOnResume: an earlier session's ceilings stay and are used, unless what they depend on has changed; a session
// with nothing left to measure probes nothing.
func TestProbeOnResume(t *testing.T) {
	p := testPlan(t, testConfig)
	r, dir := newRun(t, p, workertest.Command(t, ""))
	path := filepath.Join(dir, ceilings.FileName)
	kept := []ceilings.Device{}
	for n, c := range []struct {
		before   func(f *ceilings.File)
		calls    int // until it is interrupted; 0: until nothing is left
		measured bool
		said     string
	}{
		{calls: 1, measured: true},
		{calls: 1, said: "of the same machine and program"},
		{func(f *ceilings.File) { f.Devices[0].Facts["cpu_governor"] = "none" }, 1, true, `measured again, since cpu_governor was "none" and is "`},
		{func(f *ceilings.File) { f.Devices[1].Disturbed = []string{"something happened"} }, 1, true, "were measured while something happened"},
		{calls: 0, said: "of the same machine and program"},
		{func(f *ceilings.File) { f.Devices = f.Devices[:1] }, 0, false, ""},
	} {
		if c.before != nil {
			f, err := ceilings.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			c.before(&f)
			if err := f.Write(path); err != nil {
				t.Fatal(err)
			}
			kept = f.Devices
		}
		if n > 0 {
			r = resumeRun(t, p, dir, workertest.Command(t, ""))
		}
		ctx, stop := context.WithCancel(t.Context())
		q := &stopAfter{n: c.calls, stop: stop}
		r.Progress = q
		finishUntil(t, ctx, r)
		f, err := ceilings.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		want := len(kept)
		if c.measured {
			want++
		}
		if len(f.Devices) != want || !reflect.DeepEqual(f.Devices[:len(kept)], kept) {
			t.Fatalf("session %d made\n%+v of\n%+v", n, f.Devices, kept)
		}
		if last := f.Devices[want-1]; c.measured && (last.Session != n || last.Facts["cpu"] != machine.This().CPU || last.Facts["llmscale"] == "") {
			t.Errorf("session %d measured %+v", n, last)
		}
		if notes := strings.Join(q.failures(), "\n"); !strings.Contains(notes, c.said) || c.said == "" && strings.Contains(notes, "ceilings") {
			t.Errorf("session %d said %q, want %q", n, notes, c.said)
		}
		if e, ok := probed(t, dir); ok != (n < 5) || ok && (e.Devices == 1) != c.measured || ok && (e.Reused == 1) == c.measured {
			t.Errorf("session %d: the manifest says %+v", n, e)
		}
		kept = f.Devices
	}
}

// TestEarlierProbes: those of another device, of a GPU or without facts are not used.
func TestEarlierProbes(t *testing.T) {
	facts := map[string]string{"cpu": "c", "kernel": "1"}
	cpu := protocol.ProbeSpec{Device: config.DeviceCPU, Threads: 2}
	when := time.Unix(1000, 0)
	good := ceilings.Device{Kind: ceilings.CPU, Threads: 2, Facts: facts, MeasuredAt: when}
	with := func(change func(d *ceilings.Device)) ceilings.Device {
		d := good
		change(&d)
		return d
	}
	for name, c := range map[string]struct {
		spec  protocol.ProbeSpec
		all   probes
		holds bool
		why   string
	}{
		"none":            {cpu, nil, false, ""},
		"the same":        {cpu, probes{good}, true, ""},
		"other threads":   {cpu, probes{with(func(d *ceilings.Device) { d.Threads = 1 })}, false, ""},
		"a GPU":           {protocol.ProbeSpec{Device: config.DeviceCUDA}, probes{with(func(d *ceilings.Device) { d.Kind, d.Threads = ceilings.CUDA, 0 })}, false, ""},
		"by probe --out":  {cpu, probes{with(func(d *ceilings.Device) { d.Facts = nil })}, false, "nothing says"},
		"another kernel":  {cpu, probes{with(func(d *ceilings.Device) { d.Facts = map[string]string{"cpu": "c", "kernel": "0"} })}, false, `kernel was "0" and is "1"`},
		"a fact less":     {cpu, probes{with(func(d *ceilings.Device) { d.Facts = map[string]string{"cpu": "c"} })}, false, `kernel was "" and is "1"`},
		"a good one too":  {cpu, probes{good, with(func(d *ceilings.Device) { d.Facts = nil })}, true, ""},
		"after a bad one": {cpu, probes{with(func(d *ceilings.Device) { d.Disturbed = []string{"x"} }), good}, true, ""},
	} {
		at, why := c.all.holds(c.spec, facts)
		if at.Equal(when) != c.holds || at.IsZero() == c.holds || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%s: %v, %q", name, at, why)
		}
	}
}

// TestDisturbedProbe: what disturbed the ceilings stands beside them, and is a warning of the run.
func TestDisturbedProbe(t *testing.T) {
	p := testPlan(t, strings.Replace(testConfig, "seed: 7", "seed: 7\nprobe: true", 1))
	dir, _, _, q := execute(t, p, workertest.Command(t, "disturbed@nothing"))
	f, err := ceilings.Load(filepath.Join(dir, ceilings.FileName))
	if err != nil || len(f.Devices) == 0 || len(f.Devices[0].Disturbed) != 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Warning{Code: "probe_disturbed", Where: "the ceilings of cpu, 1 thread", Text: "measured while other programs used 1.00 CPUs and its threads lost their core 300 times",
		Advice: "shares of these ceilings may come out too high: run on a quiet machine"}
	if got := m.Warnings; !slices.Contains(got, want) {
		t.Errorf("%+v", got)
	}
	if !slices.ContainsFunc(q.notes, func(n string) bool { return strings.Contains(n, "lost their core 300 times") }) {
		t.Errorf("notes %q", q.notes)
	}
}

// TestInterruptedProbe ends the run before its first call.
func TestInterruptedProbe(t *testing.T) {
	p := testPlan(t, testConfig)
	ctx, stop := context.WithCancel(t.Context())
	r, _ := newRun(t, p, workertest.Command(t, "hang@probe"))
	r.Progress = &stopAtProbe{stop: stop}
	if sum := finishUntil(t, ctx, r); !sum.Interrupted || sum.Records != 0 {
		t.Errorf("%+v", sum)
	}
}

type stopAtProbe struct {
	quiet
	stop context.CancelFunc
}

func (s *stopAtProbe) Update(st Status) {
	if st.Phase == PhaseProbe && st.Share > 0 {
		s.stop()
	}
}

// TestProbeSpecs: only what still has calls to make, fits, and has its device here is probed.
func TestProbeSpecs(t *testing.T) {
	p := testPlan(t, strings.Replace(testConfig, "device: cpu, dtype: f16, threads: 1", "device: cuda, dtype: f16, threads: 1", 1))
	r := &Run{Plan: p, outcome: map[plan.Turn]string{}}
	names := func() string {
		var out []string
		for _, s := range r.Plan.ProbeSpecs(r.pending) {
			out = append(out, s.String())
		}
		slices.Sort(out)
		return strings.Join(out, "; ")
	}
	if got := names(); got != "cpu, 1 thread; cuda" {
		t.Errorf("all: %q", got)
	}
	for i := range p.Jobs {
		if p.Jobs[i].Backend.Device == config.DeviceCPU {
			p.Jobs[i].Fits = false
		}
	}
	if got := names(); got != "cuda" {
		t.Errorf("without what does not fit: %q", got)
	}
	p.Waive(config.DeviceCUDA, errors.New("no driver"))
	if got := names(); got != "" {
		t.Errorf("without a GPU: %q", got)
	}
	for i := range p.Jobs {
		p.Jobs[i].Fits, p.Jobs[i].Waived = true, ""
	}
	for task := range p.Cells {
		r.outcome[plan.Turn{Task: task}] = "ok"
	}
	if got := names(); got != "" {
		t.Errorf("with nothing left: %q", got)
	}
	if got := (protocol.ProbeSpec{Device: "cpu", Threads: 8}).String(); got != "cpu, 8 threads" {
		t.Error(got)
	}
}
