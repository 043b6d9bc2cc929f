package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"llmscale/runner/protocol"
)

// taskTimeout is how long a task may take. Who waits for it can end it.
const taskTimeout = 24 * time.Hour

// Do has a task done in a worker process of its own, which ends with it, and reads the answer. The error is a *record.Failure if
// the worker failed or died, interrupt.Err if ctx ended meanwhile.
func Do(ctx context.Context, as Command, log *slog.Logger, task, answer any) error {
	data, err := json.Marshal(task)
	if err != nil {
		return fmt.Errorf("a task: %w", err)
	}
	w, err := Start(as, log)
	if err != nil {
		return err
	}
	defer w.Close()
	rep, err := w.Ask(ctx, protocol.Request{Task: data}, taskTimeout, nil)
	switch {
	case err != nil:
		return err
	case rep.Answer == nil:
		return errors.New("the worker answered a task with something else")
	}
	return json.Unmarshal(rep.Answer, answer)
}
