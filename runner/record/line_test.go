package record

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"llmscale/internal/text"
)

// TestLine: lines that are cut give the same rows and records as those that are decoded; of real runs, and of numbers and texts that
// JSON and CSV write differently.
func TestLine(t *testing.T) {
	var all []Record
	runs, err := filepath.Glob("../../results/*/runs.jsonl.gz")
	if err != nil || len(runs) == 0 {
		t.Fatal(runs, err)
	}
	for _, run := range runs {
		f, err := os.Open(run)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		unzipped, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(unzipped)
		for range 30 {
			var r Record
			if dec.Decode(&r) != nil {
				break
			}
			all = append(all, r)
		}
	}
	odd := all[0]
	for _, v := range []float64{1e-7, 0.00001, 0.0001, -0.00002, 10.00001, 100.0000, 999999.5, 1e6, 1234567.5, 1e21, 123456789012345680000, 0, 1e-300} {
		odd.LatencyMS, odd.TokensPerS = new(v), new(-v)
		odd.Error = new("a \"quoted\" \\ <b>\u202e\x00\n, ü\u2028\ufffd")
		odd.Stderr = []string{"x, \"y\"", "[{"}
		odd.Nulls = map[string]string{"b": "}", "a": "\t"}
		all = append(all, odd)
	}
	places := Places("status", "rep", "verdict_reasons", "model_load_ms")
	for _, r := range all {
		line, err := json.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		line = text.JSON(line)
		var l Line
		if !l.Cut(line) {
			t.Fatalf("not cut: %s", line)
		}
		var some Record
		if err := l.Decode(&some, places); err != nil || some.Status != r.Status || len(some.VerdictReasons) != len(r.VerdictReasons) || (some.Rep == nil) != (r.Rep == nil) {
			t.Errorf("%+v, %v", some.Outcome, err)
		}
		var fast, slow bytes.Buffer
		m := NewMetrics(&fast)
		if err := m.WriteLine(&l, 77, 5); err != nil {
			t.Fatal(err)
		}
		if err := m.Flush(); err != nil {
			t.Fatal(err)
		}
		var again Record
		if err := json.Unmarshal(line, &again); err != nil {
			t.Fatal(err)
		}
		again.OrderIdx, again.Session = 77, 5
		m = NewMetrics(&slow)
		m.Write(&again)
		if err := m.Flush(); err != nil {
			t.Fatal(err)
		}
		if fast.String() != slow.String() {
			t.Fatalf("%s\n%s", &fast, &slow)
		}
		want, err := json.Marshal(&again)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Moved(nil, 77, 5); !bytes.Equal(got, text.JSON(want)) {
			t.Fatalf("%s\n%s", got, want)
		}
	}
	line, err := json.Marshal(&all[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{
		"", "{}", "null", string(line[:len(line)-1]), string(line) + "}", strings.Replace(string(line), ":", ": ", 1), strings.Replace(string(line), `"task_idx"`, `"task"`, 1),
		string(line[:len(line)-1]) + `,"more":1}`, strings.Replace(string(line), `,"order_idx"`, `,"x":1,"order_idx"`, 1), "[" + string(line[1:]),
	} {
		if new(Line).Cut([]byte(other)) {
			t.Errorf("cut: %.200s", other)
		}
	}
}
