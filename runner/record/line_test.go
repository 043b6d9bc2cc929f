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
		odd.Model, odd.Backend, odd.Scenario, odd.ModelSource = " leading", `\.`, "a,b", `say "x"`
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
		row, err := l.AppendRow(nil, 77, 5)
		if err != nil {
			t.Fatal(err)
		}
		fast.Write(row)
		var again Record
		if err := json.Unmarshal(line, &again); err != nil {
			t.Fatal(err)
		}
		again.OrderIdx, again.Session = 77, 5
		m := NewMetrics(&slow)
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

// TestValueEnd: what is taken for a value is what json.Valid takes for one, but for blanks; of lines of which a byte was changed or
// that were cut off, and of such as try the grammar's corners.
func TestValueEnd(t *testing.T) {
	r := Record{Nulls: map[string]string{"a": "\u00fc\\"}}
	r.TokenNS, r.Stderr, r.LatencyMS, r.Prompt = []int64{1, -20, 0}, []string{"x\n", ""}, new(-1.5e-9), new("é\u2028\"")
	line, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	check := func(data []byte) {
		t.Helper()
		valid := json.Valid(data) && !bytes.ContainsAny(data, " \t\r\n")
		if got := valueEnd(data, 0, maxDepth) == len(data); got != valid {
			t.Fatalf("%v, want %v: %q", got, valid, data)
		}
	}
	for _, s := range []string{"", "-", "0", "-0", "00", "01", "1.", ".5", "1.5", "1e", "1e+", "1E-5", "1e5", "+1", "0x1", "nul", "null", "true", "tru", "false", "[", "[]", "[,]", "[1,]", "[1,2]", "[1 ,2]", "{", "{}", "{,}", `{"a"}`, `{"a":}`, `{"a":1,}`,
		`{"a":1,"b":[{}]}`, `{1:2}`, `"`, `""`, `"\`, `"\"`, `"\\"`, `"\u"`, `"\u12"`, `"\u12G4"`, `"\u12aF"`, `"\x"`, `"\/"`, "\"\x01\"", "\"\xff\"", "]", "}", "[1}", `{"a":1]`, "1 ", "nullx"} {
		check([]byte(s))
	}
	for i := range line {
		check(line[:i])
		for _, c := range []byte("\"\\,:{}[]019.-eEx\x00\x1fu") {
			changed := bytes.Clone(line)
			changed[i] = c
			check(changed)
		}
	}
	if valueEnd(bytes.Repeat([]byte("["), 1e6), 0, maxDepth) >= 0 {
		t.Error("a million lists in each other")
	}
}
