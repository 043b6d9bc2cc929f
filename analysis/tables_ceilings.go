package analysis

import "strconv"

// ceilingTables set decode beside what the machine can read.
var ceilingTables = []Table{
	table("ceilings.csv", "How near decode came to the rate at which its device can read: a row for each cell, where the run stored its machine's ceilings (`ceilings.json`).", true,
		func(r *Result) []*CeilingShare { return pointers(r.CeilingShares) },
		[]column[*CeilingShare]{
			{"backend", "", "name of the backend", func(s *CeilingShare) string { return s.Backend }},
			{"backend_kind", "", "runtime", func(s *CeilingShare) string { return s.BackendKind }},
			{"batch_size", "sequences", "sequences decoded together", func(s *CeilingShare) string { return strconv.Itoa(s.BatchSize) }},
			{"model", "", "name of the model", func(s *CeilingShare) string { return s.Model }},
			{"params_millions_effective", "1e6", "parameters", func(s *CeilingShare) string { return opt(s.ParamsM) }},
			{"scenario", "", "name of the scenario", func(s *CeilingShare) string { return s.Scenario }},
			{"device", "", "device whose ceilings these are", func(s *CeilingShare) string { return s.Device }},
			{"n_threads", "", "threads of a CPU's ceilings", func(s *CeilingShare) string { return whole(s.Threads) }},
			{"n", "calls", "decode calls", func(s *CeilingShare) string { return strconv.Itoa(s.N) }},
			{"weight_bytes_read", "B", "weights that one step reads", func(s *CeilingShare) string { return whole(s.WeightBytes) }},
			{"kv_bytes_read", "B", "KV cache that one step reads: the mean over the answer's steps, of all sequences", func(s *CeilingShare) string { return whole(s.KVBytes) }},
			{"ms_per_token_median", "ms/token", "median decode time of a step", func(s *CeilingShare) string { return num(s.MSPerToken) }},
			{"read_gb_per_s", "GB/s", "1e9 bytes of both over that time", func(s *CeilingShare) string { return opt(s.GBPerS) }},
			{"ceiling_gb_per_s", "GB/s", "envelope of the measured rates at that many bytes: nothing measured says that it can be exceeded", func(s *CeilingShare) string { return opt(s.Ceiling) }},
			{"ceiling_reached_gb_per_s", "GB/s", "rate at which that many bytes or more were read; lower where a cache ends nearby", func(s *CeilingShare) string { return opt(s.Reached) }},
			{"share", "", "read_gb_per_s / ceiling_gb_per_s", func(s *CeilingShare) string { return opt(s.Share) }},
			{"share_of_reached", "", "read_gb_per_s / ceiling_reached_gb_per_s", func(s *CeilingShare) string { return opt(s.ShareHigh) }},
			{"reason", "", "why there is no share", func(s *CeilingShare) string { return s.Reason }},
		}),
}
