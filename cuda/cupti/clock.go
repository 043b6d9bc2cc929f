package cupti

// clocks is one moment by both clocks, off by no more than errorNS.
type clocks struct {
	hostNS, cuptiNS, errorNS int64
}

// between maps a time of CUPTI's clock to the host's: a straight line through two moments, because the two clocks
// need not run at one rate (CUPTI's may follow the wall clock, which is steered).
func between(a, b clocks, cuptiNS int64) int64 {
	dc, dh := b.cuptiNS-a.cuptiNS, b.hostNS-a.hostNS
	if dc <= 0 {
		return a.hostNS + (cuptiNS - a.cuptiNS)
	}
	// The difference of the rates alone is multiplied: the product of two times would not fit.
	t := cuptiNS - a.cuptiNS
	return a.hostNS + t + int64(float64(t)*(float64(dh-dc)/float64(dc)))
}
