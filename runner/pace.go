package runner

import "time"

// Before a call of pace hot the worker computes its prefill untimed until hot has passed. HotMost is when it breaks off a
// prefill that takes longer, so that a long prompt does not cost its time twice.
const (
	hot     = 20 * time.Millisecond
	HotMost = 200 * time.Millisecond
)
