package worker

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"llmscale/runner/machine"
	"llmscale/runner/record"
)

func TestEnvironment(t *testing.T) {
	t.Setenv("GOMP_CPU_AFFINITY", "0")
	t.Setenv("OMP_PLACES", "cores")
	t.Setenv("OMP_NUM_THREADS", "7")
	openMP := func(env []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(env), func(kv string) bool { return !strings.Contains(kv, "OMP_") || strings.HasPrefix(kv, "OMP_WAIT") }), " ")
	}
	if got := environment(nil); !slices.Equal(got, os.Environ()) {
		t.Errorf("without affinity: %q", got)
	}
	if got := openMP(environment([]int{2, 0})); got != "OMP_NUM_THREADS=7 OMP_PROC_BIND=close OMP_PLACES={2},{0}" {
		t.Errorf("%q", got)
	}
}

func TestTailIsHarmless(t *testing.T) {
	tail := &tail{log: slog.New(slog.DiscardHandler)}
	for _, part := range []string{"m\xc3", "\xbcll \x1b[2J", "\u202e\xff\r\nlast \xc3"} { // a letter in two writes
		if _, err := tail.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := tail.last(), []string{`müll \x1b[2J\u202e\xff`, `last \xc3`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whether the kernel killed a worker for memory is only said where the kernel tells.
func TestKilledWorker(t *testing.T) {
	for _, base := range []int64{-1, machine.OOMKills()} {
		want := "the kernel killed nothing for memory"
		if base < 0 {
			want = "does not count what it kills"
		}
		p, err := Start(Command{Path: "/bin/sleep", Args: []string{"60"}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		p.oomBase = base
		if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if f := p.died(); f.Status != record.StatusCrashed || !strings.Contains(f.Reason, want) {
			t.Errorf("%s: %q, want %q", f.Status, f.Reason, want)
		}
		p.Close()
	}
}
