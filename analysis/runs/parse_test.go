package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"llmscale/runner/record"
)

func written(t testing.TB, rep int, mode string) []byte {
	t.Helper()
	r := record.Record{Origin: record.Origin{SchemaVersion: 1, RunID: "r", CellID: "m/b/s"}, Order: record.Order{OrderIdx: rep},
		Subject: record.Subject{Scenario: "s", Backend: "b", BackendKind: "native", Model: "m", Prompt: new(`a ,"latency_ms": trap`)},
		Outcome: record.Outcome{Rep: &rep, Mode: mode, Status: record.StatusOK},
		Times:   record.Times{LatencyMS: new(1.5)}, Nulls: map[string]string{"weight_type": "why"}}
	r.TokenNS, r.OutputPieces, r.NLayer, r.Device = []int64{int64(rep), 2}, []string{"a", `b"`}, 3, "cpu"
	line, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// TestPieces: a line as it is written goes the fast way, shares what it repeats, and gives what encoding/json does.
func TestPieces(t *testing.T) {
	p := parser{shared: &shared{}}
	var rows []Row
	for rep := range 3 {
		for _, mode := range record.Modes {
			row, ok := p.pieces(written(t, rep, mode))
			if !ok {
				t.Fatal("not read by its pieces: do pieceKeys begin the parts of record.Record?")
			}
			rows = append(rows, row)
		}
	}
	for i := range rows {
		want, _, err := ParseRow(written(t, i/3, record.Modes[i%3]))
		if got := rows[i].Record(); err != nil || !reflect.DeepEqual(got, want.Record()) {
			t.Errorf("%d: %+v, want %+v (%v)", i, got, want.Record(), err)
		}
		a := &rows[0]
		if r := &rows[i]; r.Cell != a.Cell || r.Facts != a.Facts || r.Answer != a.Answer || r.DeviceWindow != a.DeviceWindow || (r.Call == a.Call) != (i < 3) {
			t.Errorf("%d shares too much or too little", i)
		}
	}
}

// TestOtherLines: what is not written so is read by encoding/json.
func TestOtherLines(t *testing.T) {
	line := string(written(t, 0, record.ModeDecode))
	for name, other := range map[string]string{
		"a field of another part":  strings.Replace(line, `"order_idx":`, `"n_layer":7,"order_idx":`, 1),
		"an unknown field":         strings.Replace(line, `"order_idx":`, `"colour":"red","order_idx":`, 1),
		"a wrong type":             strings.Replace(line, `"n_layer":3`, `"n_layer":"three"`, 1),
		"a field more at the end":  strings.TrimSuffix(line, "}") + `,"params_millions_measured":4}`,
		"parts in another order":   strings.Replace(strings.Replace(line, `"latency_ms":1.5,`, "", 1), `"scenario":`, `"latency_ms":1.5,"scenario":`, 1),
		"two objects in a piece":   strings.Replace(line, `"n_layer":3`, `"n_layer":3},{"n_embd":4`, 1),
		"a piece without a member": strings.Replace(line, `"order_idx":0,"session_idx":0,"replicate":0`, `"order_idx":`, 1),
		"torn":                     line[:len(line)/2],
	} {
		if _, ok := (&parser{shared: &shared{}}).pieces([]byte(other)); ok {
			t.Errorf("%s: read by pieces", name)
		}
	}
}

// FuzzPieces: where a line is read by its pieces, encoding/json reads the same.
func FuzzPieces(f *testing.F) {
	f.Add(written(f, 0, record.ModeDecode))
	f.Add(bytes.ReplaceAll(written(f, 0, record.ModeDecode), []byte("1.5"), []byte("NaN")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if data = bytes.TrimSpace(data); len(data) == 0 {
			return
		}
		got, ok := (&parser{shared: &shared{}}).pieces(data)
		if !ok {
			return
		}
		want, bad, _ := ParseRow(data)
		if g, w := got.Record(), want.Record(); bad != "" || !reflect.DeepEqual(g, w) {
			t.Errorf("%s\nby pieces %+v\nwhole     %+v (%s)", data, g, w, bad)
		}
	})
}

// TestChunks: lines keep their order and numbers, however long they are.
func TestChunks(t *testing.T) {
	var file strings.Builder
	for i := range 40 {
		fmt.Fprintf(&file, "%d%s\n", i, strings.Repeat(" ", i%7*chunkBytes/5))
	}
	file.WriteString("torn")
	line := 1
	inChunks(strings.NewReader(file.String()), func(c *chunk) {
		if c.first != line {
			t.Fatalf("first line %d, want %d", c.first, line)
		}
		for text := range bytes.Lines(c.data) {
			if want := fmt.Sprint(line - 1); line <= 40 && string(bytes.TrimSpace(text)) != want {
				t.Errorf("line %d is %.20q, want %s", line, text, want)
			}
			line++
		}
	})
	if line != 42 {
		t.Errorf("%d lines", line-1)
	}
}
