package verify

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// ofMode are the fields in which the records of a call may differ: all others are
// written once for each mode.
var ofMode = func() map[string]bool {
	out := map[string]bool{"mode": true, "verdict": true, "verdict_reasons": true, "null_reasons": true}
	for _, t := range []reflect.Type{reflect.TypeFor[record.Times](), reflect.TypeFor[record.DeviceWindow]()} {
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			out[name] = true
		}
	}
	delete(out, "gen_tokens") // of each mode alike
	return out
}()

// line is a record as it is written.
type line struct {
	number int
	fields map[string]json.RawMessage
	record record.Record
}

// records holds the records against each other: the modes of a call say the same of
// it, times and rates follow from what was measured, hashes from ids.
func (f *folder) records() error {
	if f.run.Harness != runs.HarnessLLMScale {
		f.skip(runs.RecordsFile+", record by record", "the records of another harness have their own redundancy; what is computed from them was checked")
		f.done[runs.RecordsFile] = true
		return nil
	}
	in, err := runs.Open(f.dir, runs.RecordsFile)
	if err != nil {
		return err
	}
	defer in.Close()
	f.recomputed(runs.RecordsFile)
	contents := f.contents()
	var call []line
	r := bufio.NewReaderSize(in, 1<<20)
	for number := 1; ; number++ {
		data, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			f.wrong(runs.RecordsFile, fmt.Sprintf("line %d", number), "cannot be read: %v", err)
			break
		}
		if len(bytes.TrimSpace(data)) > 0 {
			l := line{number: number}
			broken := json.Unmarshal(data, &l.fields)
			if broken == nil {
				broken = json.Unmarshal(data, &l.record)
			}
			if broken != nil {
				f.wrong(runs.RecordsFile, fmt.Sprintf("line %d", number), "is no record: %v", broken)
			} else {
				f.alone(&l, contents)
				if len(call) > 0 && !sameCall(&call[0], &l) {
					f.call(call)
					call = call[:0]
				}
				call = append(call, l)
			}
		}
		if err != nil {
			break
		}
	}
	if len(call) > 0 {
		f.call(call)
	}
	return nil
}

func sameCall(a, b *line) bool {
	return a.record.OrderIdx == b.record.OrderIdx && a.record.Session == b.record.Session
}

// call compares the records of one call, and says which one is alone with what it says.
func (f *folder) call(call []line) {
	if n := len(call); n != 1 && n != len(record.Modes) {
		f.wrong(runs.RecordsFile, fmt.Sprintf("line %d", call[0].number), "%d records have session_idx %d and order_idx %d; a call has %d, one for each mode",
			n, call[0].record.Session, call[0].record.OrderIdx, len(record.Modes))
	}
	names := map[string]bool{}
	for _, l := range call {
		for name := range l.fields {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if ofMode[name] {
			continue
		}
		for i, l := range call[1:] {
			if a, b := call[0].fields[name], l.fields[name]; !bytes.Equal(a, b) {
				odd, other := l, call[0]
				if i+2 < len(call) && bytes.Equal(b, call[i+2].fields[name]) { // two against the first
					odd, other = call[0], l
				}
				f.wrong(runs.RecordsFile, fmt.Sprintf("line %d, field %s", odd.number, name), "found %s, but line %d of the same call has %s",
					orNone(odd.fields[name]), other.number, orNone(other.fields[name]))
				break
			}
		}
	}
}

func orNone(raw json.RawMessage) string {
	if raw == nil {
		return "no such field"
	}
	return cut(string(raw))
}

// contents are the hashes of the models' files by model/backend, from the manifest.
func (f *folder) contents() map[string]string {
	out := map[string]string{}
	for _, m := range f.modelFiles() {
		for _, pair := range m.Pairs {
			out[pair] = m.SHA256
		}
	}
	return out
}

// alone checks what a record says twice.
func (f *folder) alone(l *line, contents map[string]string) {
	r := &l.record
	wrong := func(field string, found, want any) {
		f.wrong(runs.RecordsFile, fmt.Sprintf("line %d, field %s", l.number, field), "found %s, recomputed %s", plain(found), plain(want))
	}
	if r.SchemaVersion > record.SchemaVersion {
		f.wrong(runs.RecordsFile, fmt.Sprintf("line %d, field schema_version", l.number), "found %d; this llmscale knows %d: verify with the one that measured the run, or a newer one",
			r.SchemaVersion, record.SchemaVersion)
	}
	if want := f.run.Manifest.Text("run_id"); want != "" && r.RunID != want {
		wrong("run_id", r.RunID, want)
	}
	if want := r.Model + "/" + r.Backend + "/" + r.Scenario; r.CellID != want {
		wrong("cell_id", r.CellID, want)
	}
	if r.SampleIdx != r.CallIdx {
		wrong("sample_idx", r.SampleIdx, r.CallIdx)
	}
	if want := contents[r.Model+"/"+r.Backend]; want != "" && r.ModelSHA256 != nil && *r.ModelSHA256 != want {
		wrong("model_sha256", *r.ModelSHA256, want)
	}
	if !r.OK() || r.BackendKind == runs.KindLlamaBench { // whose lines have no phases to compute times from
		return
	}
	again := *r
	again.Times = record.Times{}
	again.Project()
	found, want := reflect.ValueOf(r.Times), reflect.ValueOf(again.Times)
	for i := range found.NumField() {
		name := found.Type().Field(i).Tag.Get("json")
		if _, there := l.fields[name]; there && !reflect.DeepEqual(found.Field(i).Interface(), want.Field(i).Interface()) {
			wrong(name, found.Field(i).Interface(), want.Field(i).Interface())
		}
	}
	for _, ids := range []struct {
		field string
		ids   []int32
		hash  *string
		all   *int // ids in all; nil where that is not known
	}{
		{"prompt_tokens_sha256", r.PromptTokenIDs, r.PromptTokensHash, r.PromptTokensRaw},
		{"output_tokens_sha256", r.OutputTokenIDs, r.OutputTokensHash, outputIDs(r)},
	} {
		if ids.hash == nil || ids.all == nil || len(ids.ids) != *ids.all || len(ids.ids) == 0 {
			continue
		}
		h := sha256.New()
		_ = binary.Write(h, binary.LittleEndian, ids.ids) // a hash takes anything
		if want := fmt.Sprintf("%x", h.Sum(nil)); want != *ids.hash {
			wrong(ids.field, *ids.hash, want)
		}
	}
}

// outputIDs is how many tokens a call gave: of each sequence one from prefill's logits
// and one of each step.
func outputIDs(r *record.Record) *int {
	if r.GenTokensRaw == nil {
		return nil
	}
	return new((*r.GenTokensRaw + 1) * r.Sequences())
}

// plain is a field's value as JSON writes it.
func plain(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // a record's fields are numbers and texts
		return fmt.Sprint(v)
	}
	return cut(string(b))
}
