package figure

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
)

func TestJSON(t *testing.T) {
	f := Figure{Kind: "k", Name: "n", Title: "t", Subtitle: "s", Caption: "c.", X: LogAxis("size (MB)", Span{1, 10}),
		Panels: []Panel{{Y: LinearAxis("time (ms)", Span{0, 1}, 0, 0, math.NaN()), Layers: []Layer{
			{Look: Series(3).Stroke(1.2, 4, 3), Line: []XY{{1, 0}, {10, 1}}, End: "m"},
			{Look: Ramp(1, 3), Points: []Point{{Name: "m", X: 2, Y: 0.5, Low: 0.4, High: 0.6, Named: true, Hollow: true}}, Beyond: []float64{9}},
			{Look: Muted(), Band: []Range{{1, 0.1, 0.2}}, Level: new(0.0)},
		}}}}
	for i := range f.Panels[0].Layers {
		f.Legend = append(f.Legend, f.Panels[0].Layers[i].Key("text"))
	}
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var got Figure
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, f) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, f)
	}
}

func TestKey(t *testing.T) {
	whisker := Layer{Points: []Point{{Low: 1, High: 1}, {Low: 1, High: 2}}}
	if k := whisker.Key("a"); !k.Point || !k.Whisker || k.Line || k.Band || k.Hollow {
		t.Errorf("points of which one has a whisker: %+v", k)
	}
	level := Layer{Level: new(1.0), Points: []Point{{Hollow: true}}}
	if k := level.Key("a"); !k.Point || k.Whisker || !k.Line || !k.Hollow {
		t.Errorf("a level with a hollow point: %+v", k)
	}
}

func TestAxes(t *testing.T) {
	var s Span
	s.Add(math.NaN(), 100, 10, math.Inf(1))
	if a := LogAxis("", s); a.Min >= 10 || a.Max <= 100 || !a.Log {
		t.Errorf("no room around 10 to 100: %+v", a)
	}
	if a := LogAxis("", Span{10, 10}); a.Max/a.Min < 2 {
		t.Errorf("one value has no axis: %+v", a)
	}
	if a := LinearAxis("", Span{99, 100}, 2, math.NaN(), 100); a.Max != 100 || a.Min > 98.5 {
		t.Errorf("99 to 100 %%: %+v", a)
	}
	if got := []string{s.String(), Span{3, 3}.String()}; !slices.Equal(got, []string{"10 to 100", "3"}) {
		t.Errorf("counts are written %q", got)
	}
}

func TestRoundNumbers(t *testing.T) {
	if got := RoundNumbers(0.05, 10, 1, 3); !slices.Equal(got, []float64{0.1, 0.3, 1, 3, 10}) {
		t.Errorf("%v", got)
	}
	if got := Number(1234567); got != "1,234,567" {
		t.Error(got)
	}
}

func TestFirst(t *testing.T) {
	few := make([]int, MaxSeries)
	if kept, left := First(few, "models"); len(kept) != MaxSeries || left != "" {
		t.Errorf("%d of %d kept: %q", len(kept), len(few), left)
	}
	if kept, left := First(append(few, 1, 2), "models"); len(kept) != MaxSeries || left != " · the first 12 of 14 models" {
		t.Errorf("%d kept: %q", len(kept), left)
	}
	many := make([]int, 100)
	for i := range many {
		many[i] = i
	}
	kept, left := Spread(many, "models")
	if len(kept) != MaxRamp || kept[0] != 0 || kept[MaxRamp-1] != 99 || left != " · 24 of 100 models" {
		t.Errorf("%v: %q", kept, left)
	}
}

// TestNameOnce: a name stands once, and many of one x not at all.
func TestNameOnce(t *testing.T) {
	few := []Point{{Name: "a", X: 1}, {Name: "a", X: 1, Y: 2}, {Name: "b", X: 2}}
	var many []Point
	for i := range mostAtOne + 1 {
		many = append(many, Point{Name: string(rune('p' + i)), X: 7})
	}
	NameOnce([]Layer{{Points: few}, {Points: many}})
	if !few[0].Named || few[1].Named || !few[2].Named {
		t.Errorf("%+v", few)
	}
	for _, p := range many {
		if p.Named {
			t.Errorf("%s stands among %d at one x", p.Name, len(many))
		}
	}
}
