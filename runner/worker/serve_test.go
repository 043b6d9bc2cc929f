package worker

import (
	"runtime"
	"testing"

	"llmscale/runner/config"
	"llmscale/runner/protocol"
)

// What times in C has one processor for Go, what times in Go all.
func TestGoProcessorsByKind(t *testing.T) {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	for _, c := range []struct {
		kind string
		want int
	}{{config.KindOllama, 2}, {config.KindNative, 1}} {
		at := 0
		if _, err := quietOpener(func(string) (protocol.Backend, error) { at = runtime.GOMAXPROCS(0); return nil, nil })(c.kind); err != nil || at != c.want {
			t.Errorf("kind %s is opened with %d processors for Go, want %d", c.kind, at, c.want)
		}
	}
}
