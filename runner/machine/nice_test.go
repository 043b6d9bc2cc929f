package machine

import (
	"os"
	"testing"
)

// A lower priority is always allowed. It stays with the test's process, which ends soon.
func TestNice(t *testing.T) {
	before := Nice(int32(os.Getpid()))
	if before == nil {
		t.Skip("the system does not tell priorities")
	}
	want := min(*before+1, 19)
	if err := SetNice(want); err != nil {
		t.Fatal(err)
	}
	if now := Nice(int32(os.Getpid())); now == nil || *now != want {
		t.Errorf("nice %v, want %d", now, want)
	}
	if got := Nice(1 << 30); got != nil {
		t.Errorf("no thread has nice %d", *got)
	}
}
