package runner

import (
	"context"
	"encoding/json"
	"errors"
	"syscall"
	"testing"

	"llmscale/internal/interrupt"
	"llmscale/runner/record"
)

// taskFake says a task back, or does what it says.
func taskFake(task json.RawMessage) (json.RawMessage, error) {
	switch string(task) {
	case `"waived"`:
		return nil, record.Failf(record.StatusWaived, "not here")
	case `"die"`:
		die(syscall.Getpid(), syscall.SIGSEGV)
	case `"hang"`:
		select {}
	}
	return task, nil
}

func TestDo(t *testing.T) {
	var answer []int
	if err := Do(t.Context(), testWorker(t, ""), discard, []int{1, 2}, &answer); err != nil || len(answer) != 2 || answer[1] != 2 {
		t.Errorf("%v, %v", answer, err)
	}
	for task, status := range map[string]string{"waived": record.StatusWaived, "die": record.StatusCrashed} {
		var f *record.Failure
		if err := Do(t.Context(), testWorker(t, ""), discard, task, &answer); !errors.As(err, &f) || f.Status != status {
			t.Errorf("%s: %v, want %s", task, err, status)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := Do(ctx, testWorker(t, ""), discard, "hang", &answer); !errors.Is(err, interrupt.Err) {
		t.Errorf("%v, want an interrupt", err)
	}
}
