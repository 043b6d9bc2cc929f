package cupti

// clocks is one moment by both clocks, off by no more than errorNS.
type clocks struct {
	hostNS, cuptiNS, errorNS int64
}

// timeline maps CUPTI's clock to the host's by a straight line through two moments: the two need not run at one rate,
// because CUPTI's may follow the wall clock, which is steered.
type timeline struct {
	from, to clocks
}

func (l timeline) host(cuptiNS int64) int64 {
	dc, dh := l.to.cuptiNS-l.from.cuptiNS, l.to.hostNS-l.from.hostNS
	t := cuptiNS - l.from.cuptiNS
	if dc <= 0 {
		return l.from.hostNS + t
	}
	// The difference of the rates alone is multiplied: the product of two times would not fit.
	return l.from.hostNS + t + int64(float64(t)*(float64(dh-dc)/float64(dc)))
}

// errorNS bounds how far a time between the two moments is off.
func (l timeline) errorNS() int64 { return max(l.from.errorNS, l.to.errorNS) }
