package main

import (
	"llmscale/native"
	"llmscale/runner/machine"
	"llmscale/runner/plan"
)

// machineRates are this machine's, measured now in some tens of milliseconds each: the best of three, since what disturbs
// one slows it.
func machineRates() (best plan.Rates, err error) {
	_, threads := machine.Cores()
	for range 3 {
		var read, flop float64
		if read, err = native.MemoryReadRate(threads); err == nil {
			flop, err = native.MultiplyAddRate(threads)
		}
		if err != nil {
			return best, err
		}
		best.ReadBytesPerS, best.FlopPerS = max(best.ReadBytesPerS, read), max(best.FlopPerS, flop)
	}
	return best, nil
}

func roughTime(p *plan.Plan) string {
	rates, err := machineRates()
	if err != nil {
		return "rough time: not estimated (" + err.Error() + ")"
	}
	return p.Estimate(rates).String()
}
