package main

import (
	"llmscale/native"
	"llmscale/runner/machine"
	"llmscale/runner/plan"
)

// machineRates are this machine's, measured now in some tens of milliseconds.
func machineRates() (r plan.Rates, err error) {
	_, threads := machine.Cores()
	if r.ReadBytesPerS, err = native.MemoryReadRate(threads); err == nil {
		r.FlopPerS, err = native.MultiplyAddRate(threads)
	}
	return r, err
}

func roughTime(p *plan.Plan) string {
	rates, err := machineRates()
	if err != nil {
		return "rough time: not estimated (" + err.Error() + ")"
	}
	return p.Estimate(rates).String()
}
