package analysis

// Answers are the findings in plain data, for sentences to be made of.
type Answers struct {
	Tails       []TailTrend         `json:"tails"`       // one for each backend x batch
	Feasibility []FeasibilityAnswer `json:"feasibility"` // one for each backend x batch
	FirstChange []FirstChange       `json:"first_change"`
}

// TailTrend says whether slow tokens get relatively slower as models grow.
type TailTrend struct {
	Backend       string   `json:"backend"`
	BatchSize     int      `json:"batch_size"`
	Quantile      string   `json:"quantile"` // which ratio: p99_over_p50, or p95_over_p50, the highest that all models carry
	NModels       int      `json:"n_models"`
	Rho           *float64 `json:"spearman_rho"` // of the ratio against size
	P             *float64 `json:"spearman_p"`
	PExact        *float64 `json:"spearman_p_exact"`
	SmallestModel string   `json:"smallest_model"`
	SmallestRatio *float64 `json:"smallest_ratio"`
	LargestModel  string   `json:"largest_model"`
	LargestRatio  *float64 `json:"largest_ratio"`
	WorstModel    string   `json:"worst_model"`
	WorstRatio    *float64 `json:"worst_ratio"`
	Verdict       string   `json:"verdict"` // rises, falls, no_trend or unknown
	Why           string   `json:"why"`
}

// FeasibilityAnswer says what ran and what did not.
type FeasibilityAnswer struct {
	Backend        string   `json:"backend"`
	BatchSize      int      `json:"batch_size"`
	ModelsOK       int      `json:"models_ok"`
	ModelsFailed   int      `json:"models_failed"` // oom, crashed, timeout or error in any cell
	ModelsWaived   int      `json:"models_waived"`
	LargestOK      string   `json:"largest_ok"` // largest model all of whose cells ran
	LargestOKM     *float64 `json:"largest_ok_params_millions"`
	SmallestFailed string   `json:"smallest_failed"` // smallest that did not fit, crashed or timed out
	SmallestFailM  *float64 `json:"smallest_failed_params_millions"`
	Status         string   `json:"smallest_failed_status"`
	Verdict        string   `json:"verdict"` // all_ran, some_failed, some_waived, waived or unknown
}

// FirstChange says what changed first along the sizes of one backend. Rule
// states the thresholds in words.
type FirstChange struct {
	Backend   string         `json:"backend"`
	BatchSize int            `json:"batch_size"`
	Verdict   string         `json:"verdict"`     // latency, tails, feasibility, joined by "+" when at one step; none; unknown
	AmongSeen string         `json:"among_known"` // the same, leaving aside the aspects that are unknown
	Unknown   []string       `json:"unknown"`     // aspects of which it is open whether they had changed by then
	Base      string         `json:"base_model"`  // the smallest model, which decode times are compared with
	BaseM     *float64       `json:"base_params_millions"`
	Model     string         `json:"model"` // the model at which it changed
	ParamsM   *float64       `json:"params_millions"`
	Before    string         `json:"before_model"` // the next smaller one: the change lies between the two
	StepRatio *float64       `json:"step_size_ratio"`
	Rule      string         `json:"rule"`
	Why       string         `json:"why"`
	Aspects   []AspectChange `json:"aspects"` // latency, tails and feasibility, each over all sizes
	Steps     []ChangeStep   `json:"steps"`
}

// AspectChange says where one aspect changed, whether or not it came first.
type AspectChange struct {
	Aspect  string   `json:"aspect"`
	Verdict string   `json:"verdict"` // changed, not_shown or unknown
	Model   string   `json:"model"`   // the first model that changed it
	ParamsM *float64 `json:"params_millions"`
	Why     string   `json:"why"`
}

// ChangeStep goes from one size to the next larger. Growth is relative to the
// model before, Total to the smallest one.
type ChangeStep struct {
	From        string   `json:"from"`
	To          string   `json:"to"`
	ParamsM     *float64 `json:"params_millions"` // of To
	SizeGrowth  *float64 `json:"size_growth"`
	SizeTotal   *float64 `json:"size_total"`
	TailGrowth  *float64 `json:"tail_growth"` // ratio of the p95/p50 within calls
	TailTotal   *float64 `json:"tail_total"`
	TailRise    *float64 `json:"tail_rise"`      // p95/p50 within calls over the least among the smaller models that can be judged
	TailRiseLow *float64 `json:"tail_rise_low"`  // its lower bound, with what processes may differ by, corrected for all comparisons of the walk
	TailFrom    string   `json:"tail_rise_from"` // the model with that least ratio

	LatencyGrowth   *float64 `json:"latency_growth"` // decode, ratio of geomeans
	LatencyTotal    *float64 `json:"latency_total"`
	LatencyLow      *float64 `json:"latency_total_low"`    // its lower bound, with what processes may differ by, corrected for all comparisons of the walk
	LatencyDoubling *float64 `json:"latency_per_doubling"` // factor for each doubling of size, from the smallest model to To

	Failed       int      `json:"failed_cells"` // cells of To that did not fit, crashed or timed out
	FailedStatus string   `json:"failed_status"`
	Changed      []string `json:"changed"` // aspects that crossed their threshold here for the first time
	Open         []string `json:"open"`    // why aspects could not be judged here
}
