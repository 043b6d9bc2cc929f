package runs

// Counts says what became of the lines of runs.jsonl.
type Counts struct {
	Lines          int            `json:"lines"`                     // non-empty lines in the file
	Broken         int            `json:"broken"`                    // lines that could not be read, the torn last line included
	Records        int            `json:"records"`                   // lines that could
	Superseded     int            `json:"superseded"`                // records replaced by a later session's, or duplicates
	Warmups        int            `json:"warmups"`                   // ok records of warm-ups among those kept
	Used           int            `json:"used"`                      // ok records that the summaries are made of
	Unusable       int            `json:"unusable"`                  // ok records without a positive finite latency
	Invalid        int            `json:"invalid,omitempty"`         // ok records with the verdict INVALID, used for nothing
	Disturbed      int            `json:"disturbed,omitempty"`       // ok records behind a canary far off: in tails alone
	DisturbedCalls int            `json:"disturbed_calls,omitempty"` // calls of these records
	ByStatus       map[string]int `json:"by_status"`                 // records kept, by status
	Expected       *int           `json:"expected"`                  // the manifest's records_expected

	Repetitions *Repetitions `json:"repetitions"` // nil where the manifest has no plan
}

// Repetitions says how much of the plan is settled. Each number counts the
// repetitions of all cells; one that --resume measured again counts once.
type Repetitions struct {
	Planned  int `json:"planned"`
	Measured int `json:"measured"`          // and of one mode at least not INVALID
	Invalid  int `json:"invalid,omitempty"` // measured while something spoilt all of their modes
	Final    int `json:"final"`             // not measured, in cells whose status is a result: out of memory or waived
	Failed   int `json:"failed"`            // not measured, in cells that crashed, timed out or gave an error: --resume tries them again
}

// Missing counts the repetitions of which nothing is known.
func (r Repetitions) Missing() int { return r.Planned - r.Measured - r.Invalid - r.Final - r.Failed }
