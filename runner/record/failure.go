package record

import (
	"errors"
	"fmt"
)

// Failure is an error with the status under which it goes on record.
type Failure struct {
	Status   string   // one of record's statuses other than ok
	Reason   string   // one sentence
	Signal   string   // that ended the worker, "" if none
	ExitCode *int     // of the worker, nil if it still runs or died of a signal
	Stderr   []string // what the runtime logged, and the last lines of the worker's stderr
}

func (f *Failure) Error() string { return f.Status + ": " + f.Reason }

// Failf returns a Failure with a formatted reason.
func Failf(status, format string, args ...any) *Failure {
	return &Failure{Status: status, Reason: fmt.Sprintf(format, args...)}
}

// AsFailure gives any error a status.
func AsFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Status: StatusError, Reason: err.Error()}
}
