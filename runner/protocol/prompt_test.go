package protocol

import "testing"

func TestRecordedIDs(t *testing.T) {
	ids := make([]int32, 3000)
	for _, c := range []struct{ n, sequences, want int }{{1024, 1, 1024}, {1025, 1, 0}, {1024, 2, 1024}, {3000, 3, 1000}, {2000, 20, 1000}, {2050, 2, 0}, {0, 1, 0}} {
		if got := RecordedIDs(ids[:c.n], c.sequences); len(got) != c.want {
			t.Errorf("%d ids of %d sequences: %d, want %d", c.n, c.sequences, len(got), c.want)
		}
	}
}
