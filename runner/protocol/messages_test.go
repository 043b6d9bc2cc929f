package protocol

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A setting that one of two builds does not know must not be left out by JSON without a word.
func TestProtocolKnowsItsMessages(t *testing.T) {
	type node struct {
		Next *node `json:"next"`
	}
	seen := map[string]reflect.Type{}
	for _, v := range []any{
		struct{ A int }{}, struct{ B int }{}, struct{ A float64 }{}, struct{ A []int }{}, struct{ A, B int }{}, struct{ A node }{},
		struct {
			A int `json:"b"`
		}{},
		struct {
			A map[string]struct{ C int }
		}{},
		struct {
			A map[string]struct{ D int }
		}{},
	} {
		var b strings.Builder
		shape(&b, reflect.TypeOf(v), map[reflect.Type]bool{})
		if other, ok := seen[b.String()]; ok {
			t.Errorf("%T and %v have the shape %s", v, other, &b)
		}
		seen[b.String()] = reflect.TypeOf(v)
	}
	if !strings.HasPrefix(ID(), fmt.Sprint(version, "-")) {
		t.Error(ID())
	}
}
