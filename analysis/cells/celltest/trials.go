package celltest

import (
	"flag"
	"os"
	"testing"
)

// EnvTrials, set to all, draws each simulation as often as the documents say, and holds
// their tables against it: that takes minutes.
const EnvTrials = "LLMSCALE_TRIALS"

// AllTrials tells whether simulations draw what the documents state: where EnvTrials asks
// for it, and where -update writes their tables.
func AllTrials() bool {
	update := flag.Lookup("update")
	return !testing.Short() && (os.Getenv(EnvTrials) == "all" || update != nil && update.Value.String() == "true")
}

// Trials are how often a case is drawn that the documents state of n: a twelfth of it
// without AllTrials. With -short few are, and only gross errors show.
func Trials(n int) int {
	switch {
	case testing.Short():
		return n / 20
	case AllTrials():
		return n
	}
	return n / 12
}
