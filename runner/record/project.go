package record

// Project fills in Times, the mode's own latency and rates, over the batch. An answer that a server ended
// early stands for the target's length: its scaled times and lengths count.
func (r *Record) Project() {
	prompt, gen, batch := r.PromptTokensRaw, r.GenTokensRaw, 1
	if r.BatchSize != nil {
		batch = *r.BatchSize
	}
	decodeMS, e2eMS, decoded := r.KVDecodeMS, r.E2EKVMS, gen
	if r.DecodeEquivMS != nil {
		decodeMS, e2eMS, decoded = r.DecodeEquivMS, r.E2EEquivMS, r.GenTokensEquiv
	}
	if decoded != nil {
		all := *decoded * batch
		decoded = &all
	}
	switch r.Mode {
	case ModePrefill:
		r.LatencyMS, r.CUDAEventMS, r.TokensTotal = r.PrefillMS, r.PrefillCUDAMS, prompt
	case ModeDecode:
		r.LatencyMS, r.CUDAEventMS, r.TokensTotal = decodeMS, r.KVDecodeCUDAMS, decoded
	case ModeE2E:
		r.LatencyMS, r.CUDAEventMS = e2eMS, r.E2EKVCUDAMS
		if prompt != nil && decoded != nil {
			sum := *prompt + *decoded
			r.TokensTotal = &sum
		}
	}
	r.GenTokens = gen
	if r.LatencyMS != nil && r.CUDAEventMS != nil {
		gap := *r.LatencyMS - *r.CUDAEventMS
		r.HostGapMS = &gap
	}
	if r.LatencyMS != nil && *r.LatencyMS > 0 && r.TokensTotal != nil {
		rate := float64(*r.TokensTotal) / (*r.LatencyMS / 1e3)
		each := rate / float64(batch)
		r.TokensPerS, r.TokensPerSEach = &rate, &each
	}
}
