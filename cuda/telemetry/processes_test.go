package telemetry

import (
	"errors"
	"reflect"
	"testing"
)

func mibs(n uint64) *uint64 { n <<= 20; return &n }

func pids(ps []Process) []int {
	out := []int{}
	for _, p := range ps {
		out = append(out, p.PID)
	}
	return out
}

func procs(ids ...int) []Process {
	out := []Process{}
	for _, id := range ids {
		out = append(out, Process{PID: id})
	}
	return out
}

func TestForeign(t *testing.T) {
	const self = 500
	mps := Process{PID: 40, Name: "/usr/bin/nvidia-cuda-mps-server"}
	for _, tc := range []struct {
		name        string
		before, now []Process
		want        []int
	}{
		{"nobody, and we are not listed", nil, nil, []int{}},
		{"only we", nil, procs(self), []int{}},
		{"only we, under the host's number", nil, procs(9001), []int{}},
		{"they were there before", procs(10, 11), procs(10, 11, self), []int{10, 11}},
		{"they were there before, we under the host's number", procs(10), procs(10, 9001), []int{10}},
		{"one of them left", procs(10, 11), procs(11, self), []int{11}},
		{"somebody came", nil, procs(12, self), []int{12}},
		{"somebody came, which of the two are we", nil, procs(12, 9001), []int{12, 9001}},
		{"many came", procs(10), procs(10, 12, 13, 9001), []int{10, 12, 13, 9001}},
		{"a stranger carries our number in his namespace", procs(self), procs(self, 9001), []int{self}},
		{"desktop", []Process{{PID: 7, Kinds: []string{"graphics"}, Name: "Xorg"}}, append(procs(self), Process{PID: 7, Name: "Xorg"}), []int{7}},
		{"an MPS server from before", []Process{mps}, []Process{mps}, []int{40}},
		{"an MPS server that our context started", nil, []Process{mps}, []int{40}},
		{"an MPS server and we as its client", nil, append(procs(self), mps), []int{40}},
		{"an MPS server and we under the host's number", nil, append(procs(9001), mps), []int{40}},
		{"a process that the driver does not name", nil, procs(0, self), []int{0}},
		{"only such processes", nil, procs(0, 0), []int{0, 0}},
		{"such processes do not hide us", nil, procs(0, 9001), []int{0}},
		{"sorted", procs(30, 20, 10), procs(30, 20, 10), []int{10, 20, 30}},
	} {
		if got := pids(Foreign(tc.before, tc.now, self)); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestProcesses(t *testing.T) {
	f := newFake()
	f.compute = []Process{{PID: 20, UsedBytes: mibs(900)}, {PID: 10}, {PID: 0, UsedBytes: mibs(5)}, {PID: 0}}
	f.graphics = []Process{{PID: 7, UsedBytes: mibs(12)}, {PID: 10, UsedBytes: mibs(30)}}
	f.mps = []Process{{PID: 20, UsedBytes: mibs(900)}}
	f.names = map[int]string{7: "/usr/lib/xorg/Xorg", 20: "python3"}
	got, err := Processes(f)
	if err != nil {
		t.Fatal(err)
	}
	want := []Process{
		{PID: 0, Kinds: []string{"compute"}, UsedBytes: mibs(5)},
		{PID: 0, Kinds: []string{"compute"}},
		{PID: 7, Kinds: []string{"graphics"}, Name: "/usr/lib/xorg/Xorg", UsedBytes: mibs(12)},
		{PID: 10, Kinds: []string{"compute", "graphics"}, UsedBytes: mibs(30)},
		{PID: 20, Kinds: []string{"compute", "mps"}, Name: "python3", UsedBytes: mibs(900)},
	}
	if !reflect.DeepEqual(got.Processes, want) {
		t.Errorf("got  %v\nwant %v", got.Processes, want)
	}
	if !got.Complete() {
		t.Errorf("unknown %v", got.Unknown)
	}
	for i, words := range map[int]string{2: "/usr/lib/xorg/Xorg (PID 7, graphics, 12 MiB)", 1: "a process without a name here (PID 0, compute, memory not known)"} {
		if got := want[i].String(); got != words {
			t.Errorf("%q, want %q", got, words)
		}
	}
}

func TestProcessesThatCannotBeListed(t *testing.T) {
	for _, tc := range []struct {
		method  string
		code    Code
		unknown string
		fails   bool
	}{
		{"ComputeProcesses", CodeNotSupported, "compute", false},
		{"ComputeProcesses", CodeNoPermission, "compute", false},
		{"GraphicsProcesses", CodeNotSupported, "graphics", false},
		{"MPSProcesses", CodeNotSupported, "", false},
		{"MPSProcesses", CodeFunctionNotFound, "", false},
		{"MPSProcesses", CodeNoPermission, "mps", false},
		{"MPSProcesses", 999, "mps", false},
		{"ComputeProcesses", CodeGPUIsLost, "", true},
	} {
		f := newFake()
		f.compute, f.graphics = procs(10), procs(11)
		f.errs[tc.method] = nvmlError("nvmlThis", tc.code)
		l, err := Processes(f)
		if tc.fails {
			if !errors.Is(err, tc.code) {
				t.Errorf("%s %d: %v", tc.method, tc.code, err)
			}
			continue
		}
		if err != nil || l.Complete() != (tc.unknown == "") || l.Unknown[tc.unknown] == "" && tc.unknown != "" {
			t.Errorf("%s %d: unknown %v, %v", tc.method, tc.code, l.Unknown, err)
		}
		want := map[string][]int{"compute": {11}, "graphics": {10}, "mps": {10, 11}, "": {10, 11}}[tc.unknown]
		if got := pids(l.Processes); !reflect.DeepEqual(got, want) {
			t.Errorf("%s %d: %v, want %v", tc.method, tc.code, got, want)
		}
	}
}

func TestUnlisted(t *testing.T) {
	used := func(n uint64, reserve bool) Memory { return Memory{Used: n << 20, HasReserved: reserve} }
	for _, tc := range []struct {
		name string
		m    Memory
		ps   []Process
		want uint64
		ok   bool
	}{
		{"nobody", used(4, true), nil, 4, true},
		{"all listed", used(904, true), []Process{{UsedBytes: mibs(900)}}, 4, true},
		{"hidden", used(30904, true), []Process{{UsedBytes: mibs(900)}}, 30004, true},
		{"shared memory counts twice", used(904, true), []Process{{UsedBytes: mibs(900)}, {UsedBytes: mibs(900)}}, 0, true},
		{"no figure", used(904, true), []Process{{}}, 0, false},
		{"the reserve is in it", used(904, false), nil, 0, false},
	} {
		if got, ok := Unlisted(tc.m, tc.ps); got != tc.want<<20 || ok != tc.ok {
			t.Errorf("%s: %d MiB, %v; want %d, %v", tc.name, got>>20, ok, tc.want, tc.ok)
		}
	}
}
