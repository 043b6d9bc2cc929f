package cells

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Objective is a time that a service promises. JSON has its text.
type Objective struct {
	MS    float64 // at most
	First bool    // to the first token, else for each further one
}

// DefaultSLO is what a reader is asked to wait for each token, at most.
var DefaultSLO = Objective{MS: 50}

// ParseObjective reads 50ms/token or 2s/first.
func ParseObjective(s string) (Objective, error) {
	for suffix, first := range map[string]bool{"/token": false, "/first": true} {
		if d, ok := strings.CutSuffix(s, suffix); ok {
			if t, err := time.ParseDuration(strings.TrimSpace(d)); err == nil && t > 0 {
				return Objective{MS: float64(t) / 1e6, First: first}, nil
			}
		}
	}
	return Objective{}, fmt.Errorf("%q: want a time for each token, as 50ms/token, or to the first one, as 2s/first", s)
}

// String is as ParseObjective reads it.
func (o Objective) String() string {
	what := "/token"
	if o.First {
		what = "/first"
	}
	return strconv.FormatFloat(o.MS, 'g', -1, 64) + "ms" + what
}

func (o Objective) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

func (o *Objective) UnmarshalText(text []byte) (err error) {
	*o, err = ParseObjective(string(text))
	return err
}
