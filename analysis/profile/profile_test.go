package profile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func kernel(name string, start, end int64, stream string) Activity {
	return Activity{Kind: Kernel, Name: name, StartNS: start, EndNS: end, Lane: "stream " + stream}
}

// twoStreams is a prefill of two kernels on streams that overlap, a copy, and two decode steps of two kernels each.
// Times are in ns and count from a moment that is not zero.
func twoStreams() *Input {
	const t = 1_000_000
	in := &Input{
		Steps: []Step{{t, t + 100_000, 8}, {t + 110_000, t + 120_000, 1}, {t + 130_000, t + 144_000, 1}},
		Activities: []Activity{
			kernel("gemm", t+10_000, t+50_000, "7"),
			kernel("norm", t+40_000, t+60_000, "8"), // overlaps the first by 10 µs
			kernel("norm", t+45_000, t+46_000, "9"), // wholly within both
			{Kind: Memcpy, Name: "device to host", StartNS: t + 90_000, EndNS: t + 95_000, Lane: "stream 7", Bytes: 4096},

			kernel("matvec", t+111_000, t+117_000, "7"),
			kernel("norm", t+117_000, t+119_000, "7"), // no gap before it
			kernel("matvec", t+131_000, t+137_000, "7"),
			kernel("norm", t+137_500, t+139_500, "7"),
			{Kind: Memset, StartNS: t + 125_000, EndNS: t + 126_000, Lane: "stream 7", Bytes: 64}, // between two steps
			kernel("load", t-5_000, t-1_000, "7"),                                                 // before all
		},
		UnprofiledPrefillNS: []int64{80_000, 90_000, 70_000},
		UnprofiledTokenNS:   []int64{8_000, 10_000},
	}
	// The order of records is not that of time.
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(in.Activities), func(i, j int) {
		in.Activities[i], in.Activities[j] = in.Activities[j], in.Activities[i]
	})
	return in
}

func TestProfile(t *testing.T) {
	p, err := New(twoStreams())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Phases) != 2 || !p.Complete || p.OutsideRecords != 2 || len(p.Warnings) != 0 {
		t.Fatalf("%d phases, complete %v, %d records outside, warnings %v", len(p.Phases), p.Complete, p.OutsideRecords, p.Warnings)
	}
	pre, dec := p.Phases[0], p.Phases[1]
	// 10..60 is busy but for nothing in between, and 90..95.
	if pre.BusyNS != 55_000 || pre.IdleNS != 45_000 || pre.WorkNS != 40_000+20_000+1_000+5_000 || pre.BusyShare != 0.55 {
		t.Errorf("prefill: busy %d, idle %d, work %d, share %v", pre.BusyNS, pre.IdleNS, pre.WorkNS, pre.BusyShare)
	}
	if pre.Gaps.Count != 3 || pre.Gaps.TotalNS != pre.IdleNS {
		t.Errorf("prefill: %d gaps of %d ns", pre.Gaps.Count, pre.Gaps.TotalNS)
	}
	want := []Gap{{0, 60_000, 30_000, "norm", "device to host"}, {0, 0, 10_000, "", "gemm"}, {0, 95_000, 5_000, "device to host", ""}}
	if !slices.Equal(pre.Gaps.Longest, want) {
		t.Errorf("prefill's gaps %+v, want %+v", pre.Gaps.Longest, want)
	}
	if b := pre.Gaps.Bins; b[1].Count != 1 || b[2].Count != 2 || b[2].TotalNS != 40_000 || b[0].Count+b[3].Count+b[4].Count != 0 {
		t.Errorf("prefill's gaps by length: %+v", b)
	}
	if len(pre.Copies) != 1 || pre.Copies[0] != (Copy{Memcpy, "device to host", 1, 4096, 5_000}) {
		t.Errorf("prefill's copies: %+v", pre.Copies)
	}
	if pre.PerStepMin != 3 || pre.TokensPerStep != 8 || *pre.UnprofiledNS != 80_000 || *pre.ProfilingRatio != 1.25 || *pre.WorkRatio != 66.0/80 {
		t.Errorf("prefill: %d kernels, %d tokens, unprofiled %d, ratios %v and %v", pre.PerStepMin, pre.TokensPerStep, *pre.UnprofiledNS, *pre.ProfilingRatio, *pre.WorkRatio)
	}

	// Decode: 1..9 of 10 and 1..7, 7.5..9.5 of 14.
	if dec.Steps != 2 || dec.BusyNS != 8_000+8_000 || dec.IdleNS != 2_000+6_000 || dec.Gaps.Count != 2+3 || dec.PerStepMin != 2 || dec.PerStepMax != 2 {
		t.Errorf("decode: %+v", dec)
	}
	rows := []Row{
		{Kernel, "matvec", "", 2, 1, 12_000, 6_000, 0.75, 0},
		{Kernel, "norm", "", 2, 1, 4_000, 2_000, 0.25, 0},
	}
	if !slices.Equal(dec.Rows, rows) {
		t.Errorf("decode's kernels %+v, want %+v", dec.Rows, rows)
	}
	if dec.StepMedianNS != 10_000 || *dec.UnprofiledNS != 8_000 {
		t.Errorf("decode's step %d, unprofiled %d; want the lower of two", dec.StepMedianNS, *dec.UnprofiledNS)
	}
}

// TestBusyAgainstCounting compares busy time with counting nanosecond by nanosecond, for random overlapping work.
func TestBusyAgainstCounting(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 0))
	for round := range 200 {
		in := &Input{Steps: []Step{{1_000, 2_000, 1}}}
		busy := make([]bool, 1_000)
		for range 1 + random.IntN(30) {
			start := 1_000 + random.Int64N(980)
			end := min(start+1+random.Int64N(60), 2_000)
			in.Activities = append(in.Activities, kernel("k", start, end, fmt.Sprint(random.IntN(3))))
			for i := start; i < end; i++ {
				busy[i-1_000] = true
			}
		}
		want, gaps := int64(0), 0
		for i, b := range busy {
			if b {
				want++
			} else if i == 0 || busy[i-1] {
				gaps++
			}
		}
		p, err := New(in)
		if err != nil {
			t.Fatal(err)
		}
		if ph := p.Phases[0]; ph.BusyNS != want || ph.Gaps.Count != gaps || ph.BusyNS+ph.Gaps.TotalNS != 1_000 {
			t.Fatalf("round %d: busy %d in %d gaps, counted %d in %d", round, ph.BusyNS, ph.Gaps.Count, want, gaps)
		}
	}
}

// TestNothingRecorded: without kernels there is no profile, and never a count of 0.
func TestNothingRecorded(t *testing.T) {
	all := twoStreams()
	for name, keep := range map[string]func(a Activity) bool{
		"nothing":              func(Activity) bool { return false },
		"copies alone":         func(a Activity) bool { return !computes(a.Kind) },
		"nothing in one step":  func(a Activity) bool { return a.StartNS < all.Steps[2].StartNS },
		"nothing in prefill":   func(a Activity) bool { return a.StartNS > all.Steps[0].EndNS },
		"nothing in any steps": func(a Activity) bool { return a.Name == "load" },
	} {
		in := twoStreams()
		in.Activities = slices.DeleteFunc(in.Activities, func(a Activity) bool { return !keep(a) })
		if p, err := New(in); !errors.Is(err, ErrNoWork) || p != nil {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// TestLostRecords: what is lost is said, and the profile is not complete.
func TestLostRecords(t *testing.T) {
	in := twoStreams()
	in.Dropped, in.Untimed = 3, 1
	p, err := New(in)
	if err != nil {
		t.Fatal(err)
	}
	if p.Complete || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "4 records") || p.DroppedRecords != 3 || p.UntimedRecords != 1 {
		t.Errorf("complete %v, warnings %q", p.Complete, p.Warnings)
	}

	in = twoStreams() // a kernel of one decode step is missing, silently
	in.Activities = slices.DeleteFunc(in.Activities, func(a Activity) bool { return a.Name == "norm" && a.StartNS > in.Steps[2].StartNS })
	if p, err = New(in); err != nil {
		t.Fatal(err)
	}
	if dec := p.Phases[1]; dec.PerStepMin != 1 || dec.PerStepMax != 2 || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "between 1 and 2") {
		t.Errorf("%d to %d kernels, warnings %q", dec.PerStepMin, dec.PerStepMax, p.Warnings)
	}

	in = twoStreams()
	in.UnprofiledTokenNS = []int64{20_000}
	if p, err = New(in); err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "decode took 0.50") {
		t.Errorf("a profiled step shorter than an unprofiled one: %q", p.Warnings)
	}
}

// TestClockError: work at a step's bounds belongs to it though the clocks disagree a little.
func TestClockError(t *testing.T) {
	in := &Input{
		Steps:      []Step{{1_000, 2_000, 4}, {2_100, 3_000, 1}},
		Activities: []Activity{kernel("a", 980, 1_010, "1"), kernel("b", 1_990, 2_050, "1"), kernel("c", 2_100, 2_900, "1")},
	}
	p, err := New(in)
	if !errors.Is(err, ErrNoWork) {
		t.Fatalf("%+v %v: without a clock error the middles of a and b lie outside", p, err)
	}
	in.ClockErrorNS = 30
	if p, err = New(in); err != nil {
		t.Fatal(err)
	}
	if pre := p.Phases[0]; pre.PerStepMin != 2 || p.OutsideRecords != 0 || pre.BusyNS != 10+10 || pre.IdleNS != 980 || p.ClockErrorNS != 30 {
		t.Errorf("%+v", p.Phases[0])
	}
}

func TestBadInput(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"no steps":            func(in *Input) { in.Steps = nil },
		"a step without time": func(in *Input) { in.Steps[1].EndNS = in.Steps[1].StartNS },
		"steps that overlap":  func(in *Input) { in.Steps[1].StartNS = in.Steps[0].EndNS - 1 },
		"work that ends early": func(in *Input) {
			in.Activities[0].EndNS = in.Activities[0].StartNS - 1
		},
	} {
		in := twoStreams()
		change(in)
		if _, err := New(in); err == nil || !strings.HasPrefix(err.Error(), "profile: ") || errors.Is(err, ErrNoWork) {
			t.Errorf("%s: %v", name, err)
		}
		if err := in.WriteTrace(&strings.Builder{}); err == nil {
			t.Errorf("%s: a trace was written", name)
		}
	}
}
