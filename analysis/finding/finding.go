package finding

import "llmscale/runner/record"

// Warning is a doubt about a number, with what to do about it.
type Warning record.Warning
