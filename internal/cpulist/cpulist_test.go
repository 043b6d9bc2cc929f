package cpulist

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	for s, want := range map[string][]int{
		"0": {0}, "0,2-5": {0, 2, 3, 4, 5}, "7,3": {7, 3}, "2-2": {2}, "8191": {8191},
	} {
		got, err := Parse(s)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", ",", "0,", "a", "-1", "1-", "5-2", "0,0", "0-3,2", "01", "+1", "8192", "0-9999999999", "1 ,2"} {
		if got, err := Parse(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, s := range []string{"0", "0,2-5", "7,3", "0-1"} {
		cpus, err := Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := Format(cpus); got != s {
			t.Errorf("%s becomes %s", s, got)
		}
	}
}
