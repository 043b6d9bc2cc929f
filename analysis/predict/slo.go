package predict

import (
	"fmt"
	"math"

	"llmscale/analysis/cells"
)

// Served are the largest models of the ladder that keep an objective.
type Served struct {
	Objective string  `json:"objective"`
	Surely    *Answer `json:"surely"`     // the 95 % interval lies within it; null: no model that can be told of
	Guessed   *Answer `json:"guessed"`    // the best guess does; null likewise
	Ends      bool    `json:"ends"`       // surely is where predictions or the ladder end, not where the objective does
	GuessEnds bool    `json:"guess_ends"` // guessed is, likewise
	Memory    bool    `json:"memory"`     // surely is the largest that fits into memory
	Smallest  *Answer `json:"smallest"`   // that can be told of
}

// Serve finds them. shape makes a target of about so many parameters.
func (p *Predictor) Serve(o cells.Objective, shape func(params int64) (*Target, error)) (*Served, error) {
	of := func(params float64) (*Answer, error) {
		t, err := shape(int64(params))
		if err != nil {
			return nil, err
		}
		return p.Of(t)
	}
	figure := func(a *Answer) Figure {
		if o.First {
			return a.TTFT
		}
		return a.Decode
	}
	low, high := float64(p.models[0].ParamsTotal)/Reach, float64(p.models[len(p.models)-1].ParamsTotal)*Reach
	// Where predictions begin and end, the ladder's shapes may differ from what was measured.
	tells := func(params float64) bool {
		a, err := of(params)
		return err == nil && figure(a).Basis != Refused
	}
	middle := math.Sqrt(float64(p.models[0].ParamsTotal) * float64(p.models[len(p.models)-1].ParamsTotal))
	if !tells(middle) {
		a, err := of(middle)
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s; %s", figure(a).Why, figure(a).Helps)
	}
	first, last := edge(middle, low, tells), edge(middle, high, tells)
	s := &Served{Objective: o.String()}
	var err error
	if s.Smallest, err = of(first); err != nil {
		return nil, err
	}
	keeps := func(of func(Figure) float64, fits bool) func(*Answer) bool {
		return func(a *Answer) bool {
			f := figure(a)
			return f.CI != nil && of(f) <= o.MS && (!fits || a.Memory == nil || a.Memory.Fits == nil || *a.Memory.Fits)
		}
	}
	largest := func(keeps func(*Answer) bool) (*Answer, error) {
		if !keeps(s.Smallest) {
			return nil, nil
		}
		return of(edge(first, last, func(params float64) bool { a, err := of(params); return err == nil && keeps(a) }))
	}
	upper := func(f Figure) float64 { return f.CI.High }
	if s.Surely, err = largest(keeps(upper, true)); err != nil {
		return nil, err
	}
	if s.Guessed, err = largest(keeps(func(f Figure) float64 { return *f.Value }, true)); err != nil {
		return nil, err
	}
	ends := func(a *Answer) bool { return a != nil && float64(a.Params) > .97*last }
	s.Ends, s.GuessEnds = ends(s.Surely), ends(s.Guessed)
	if s.Surely != nil {
		bare, err := largest(keeps(upper, false))
		if err != nil {
			return nil, err
		}
		s.Memory = bare.Params > s.Surely.Params
	}
	return s, nil
}

// edge is the size farthest from one at which a condition holds, towards another: to
// 0.5 %, which is finer than the ladder's steps.
func edge(from, to float64, holds func(float64) bool) float64 {
	if holds(to) {
		return to
	}
	for math.Abs(math.Log(to/from)) > .005 {
		if middle := math.Sqrt(from * to); holds(middle) {
			from = middle
		} else {
			to = middle
		}
	}
	return from
}
