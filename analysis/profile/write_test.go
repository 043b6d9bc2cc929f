package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
)

// checkTrace is a validator of Chrome's trace-event format, of as much as is written here: an object with
// traceEvents, of which each is a complete event with ts and dur or a metadata event that names a process or thread,
// and every thread with events has a name.
func checkTrace(data []byte) error {
	var doc struct {
		TraceEvents     []map[string]any `json:"traceEvents"`
		DisplayTimeUnit string           `json:"displayTimeUnit"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	if doc.DisplayTimeUnit != "ns" && doc.DisplayTimeUnit != "ms" {
		return fmt.Errorf("displayTimeUnit %q: the format knows ms and ns", doc.DisplayTimeUnit)
	}
	if len(doc.TraceEvents) == 0 {
		return fmt.Errorf("no events")
	}
	named := map[any]bool{}
	used := map[any]bool{}
	for i, e := range doc.TraceEvents {
		name, _ := e["name"].(string)
		pid, pidOK := e["pid"].(float64)
		tid, tidOK := e["tid"].(float64)
		if name == "" || !pidOK || !tidOK {
			return fmt.Errorf("event %d has no name, pid or tid: %v", i, e)
		}
		thread := [2]float64{pid, tid}
		args, _ := e["args"].(map[string]any)
		switch e["ph"] {
		case "M":
			if s, ok := args["name"].(string); !ok || s == "" || name != "process_name" && name != "thread_name" {
				return fmt.Errorf("metadata event %d: %v", i, e)
			}
			if name == "thread_name" {
				named[thread] = true
			}
		case "X":
			ts, tsOK := e["ts"].(float64)
			dur, durOK := e["dur"].(float64)
			if !tsOK || !durOK || dur < 0 || math.IsInf(ts, 0) || e["cat"] == "" {
				return fmt.Errorf("complete event %d: %v", i, e)
			}
			used[thread] = true
		default:
			return fmt.Errorf("event %d has ph %v", i, e["ph"])
		}
	}
	for thread := range used {
		if !named[thread] {
			return fmt.Errorf("thread %v has no name", thread)
		}
	}
	return nil
}

func TestTrace(t *testing.T) {
	in := twoStreams()
	in.Activities[0].Details = map[string]any{"registers": 40}
	in.Activities[0].Class = "q4_0"
	var out bytes.Buffer
	if err := in.WriteTrace(&out); err != nil {
		t.Fatal(err)
	}
	if err := checkTrace(out.Bytes()); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	var doc struct {
		TraceEvents []event `json:"traceEvents"`
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	lanes := map[int]string{}
	for _, e := range doc.TraceEvents {
		if e.Name == "thread_name" {
			lanes[e.TID] = e.Args["name"].(string)
		}
		found[e.Cat]++
	}
	if found["step"] != 3 || found[Kernel] != 8 || found[Memcpy] != 1 || found[Memset] != 1 || len(lanes) != 4 {
		t.Errorf("events %v, lanes %v", found, lanes)
	}
	for _, e := range doc.TraceEvents {
		if e.Name == "gemm" && (*e.TS != 10 || *e.Dur != 40 || lanes[e.TID] != "stream 7") {
			t.Errorf("gemm at %v for %v µs on %s, want 10, 40, stream 7", *e.TS, *e.Dur, lanes[e.TID])
		}
		if e.Cat == Memset && e.Name != Memset {
			t.Errorf("a memory set is called %q", e.Name)
		}
	}
	if len(in.Activities[0].Details) != 1 {
		t.Error("writing the trace changed the input")
	}
}

// TestCheckTrace: the validator refuses what is not the format.
func TestCheckTrace(t *testing.T) {
	var out bytes.Buffer
	if err := twoStreams().WriteTrace(&out); err != nil {
		t.Fatal(err)
	}
	good := out.String()
	for _, change := range [][2]string{
		{`"traceEvents"`, `"events"`}, {`"ph":"X"`, `"ph":"B"`}, {`"dur":40`, `"dur":-40`}, {`"name":"stream 8"`, `"title":"stream 8"`},
		{`"displayTimeUnit":"ns"`, `"displayTimeUnit":"us"`}, {`"tid":3`, `"tid":9`}, {`"name":"gemm"`, `"name":""`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Errorf("the trace has no %s to change", change[0])
		} else if checkTrace([]byte(bad)) == nil {
			t.Errorf("%s instead of %s is accepted", change[1], change[0])
		}
	}
}

func TestTable(t *testing.T) {
	p, err := New(twoStreams())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.WriteTable(&out, 1); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"prefill: 1 step of 8 tokens", "step, profiled 100 µs (median)", "profiling takes 1.25 times as long", "kernels per step 3",
		"busy 55 µs (55.0 %)", "idle 45 µs in 3 gaps", "longest 30 µs in prefill, between norm and device to host",
		"copies device to host 1 time: 4096 bytes, 5 µs", "gemm 1 0.040 40.00 60.6 %", "1 others 2 0.021 10.50 31.8 %",
		"decode: 2 steps of 1 token", "matvec 1 0.012 6.00 75.0 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table has no %q:\n%s", want, &out)
		}
	}
	if strings.Contains(text, "warning") {
		t.Errorf("a warning about nothing:\n%s", &out)
	}
}

// TestJSON: numbers carry their unit in the name, and lists are never null.
func TestJSON(t *testing.T) {
	in := twoStreams()
	in.UnprofiledPrefillNS, in.UnprofiledTokenNS = nil, nil
	p, err := New(in)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Phases []map[string]any `json:"phases"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, ph := range doc.Phases {
		for key, value := range ph {
			unknown := key == "unprofiled_step_median_ns" || key == "profiled_over_unprofiled_ratio" || key == "work_over_unprofiled_ratio"
			if (value == nil) != unknown {
				t.Errorf("%s: %s is %v; without unprofiled times those alone are unknown", ph["name"], key, value)
			}
		}
		if ph["busy_ns"].(float64)+ph["idle_ns"].(float64) != sum(ph["step_ns"].([]any)) {
			t.Errorf("%s: busy and idle are not the steps' time", ph["name"])
		}
	}
}

func sum(x []any) (s float64) {
	for _, v := range x {
		s += v.(float64)
	}
	return s
}
