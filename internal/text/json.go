package text

import (
	"bytes"
	"encoding/json"
)

// SameJSON compares two values by what they are in JSON.
func SameJSON(a, b any) bool {
	x, errA := PlainJSON(a)
	y, errB := PlainJSON(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

// PlainJSON is a value in JSON, with the keys of structs and maps in one order.
func PlainJSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}
