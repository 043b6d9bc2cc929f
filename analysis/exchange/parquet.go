package exchange

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"llmscale/analysis/runs"
	"llmscale/runner/record"
)

// rowsPerGroup bounds what is held in memory: rows are written out in groups.
const rowsPerGroup = 4096

// parquetRow is a struct of a record's fields in their order, made of their
// declaration: a field that may be null is optional, lists are LIST, maps are MAP.
func parquetRow() reflect.Type {
	var out []reflect.StructField
	for i, f := range record.Fields() {
		tag := f.Name
		if f.Null {
			tag += ",optional"
		}
		t := f.GoType()
		switch kind := t; {
		case kind.Kind() == reflect.Slice:
			tag += ",list"
		case kind.Kind() == reflect.String, kind.Kind() == reflect.Pointer && kind.Elem().Kind() == reflect.String:
			tag += ",dict" // most texts stand in many rows
		}
		out = append(out, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: t, Tag: reflect.StructTag(`parquet:"` + tag + `"`)})
	}
	return reflect.StructOf(out)
}

// writeParquet writes all records of the run in dir, also those that do not count.
func writeParquet(w io.Writer, dir string) error {
	in, err := runs.Open(dir, runs.RecordsFile)
	if err != nil {
		return fmt.Errorf("%s is no run folder: %w", dir, err)
	}
	defer in.Close()
	t := parquetRow()
	out := parquet.NewWriter(w, parquet.SchemaOf(reflect.New(t).Interface()), parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowsPerGroup),
		parquet.CreatedBy("llmscale", "", ""), parquet.KeyValueMetadata("llmscale.schema", fmt.Sprint(record.SchemaVersion)))
	fields := record.Fields()
	lines := bufio.NewReaderSize(in, 1<<20)
	rows := 0
	for number := 1; ; number++ {
		data, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: line %d: %w", runs.RecordsFile, number, err)
		}
		if len(data) > 1 {
			var r record.Record
			if err := json.Unmarshal(runs.Sanitize(data), &r); err != nil {
				return fmt.Errorf("%s: line %d is no record: %w; remove the line, or go on with the run by --resume, which moves what a crash has left aside", runs.RecordsFile, number, err)
			}
			row := reflect.New(t)
			for i, f := range fields {
				row.Elem().Field(i).Set(f.Value(&r))
			}
			if err := out.Write(row.Interface()); err != nil {
				return err
			}
			rows++
		}
		if err != nil {
			break
		}
	}
	if rows == 0 {
		return fmt.Errorf("%s has no record", runs.RecordsFile)
	}
	return out.Close()
}
