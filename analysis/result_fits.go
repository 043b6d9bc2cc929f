package analysis

import (
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
)

// Point is one model in a fit.
type Point struct {
	Model string  `json:"model"`
	X     float64 `json:"x"`    // in the axis's unit
	Y     float64 `json:"y_ms"` // latency

	scatter stats.Scatter // of ln(Y), as far as the calls behind it tell
}

// Fit is log10(latency_ms) = Log10Intercept + Slope * log10(x) over the models of
// one backend, mode and scenario.
type Fit struct {
	Backend     string `json:"backend"`
	BackendKind string `json:"backend_kind"`
	BatchSize   int    `json:"batch_size"`
	Mode        string `json:"mode"`
	Scenario    string `json:"scenario"`    // or AllScenarios
	Aggregation string `json:"aggregation"` // AggScenario or AggGeomean
	Filter      string `json:"filter"`      // "" or length_limited_decode_only

	Axis    string  `json:"x_axis"`
	Points  []Point `json:"points"` // by rising x
	NModels int     `json:"n_models"`
	OK      bool    `json:"ok"`
	Reason  string  `json:"reason"` // why not OK

	Log10Intercept *float64        `json:"log10_intercept"`
	Slope          *float64        `json:"slope"`
	R2             *float64        `json:"r2"` // in log space
	SlopeSE        *float64        `json:"slope_se"`
	InterceptSE    *float64        `json:"log10_intercept_se"`
	ResidualSD     *float64        `json:"residual_sd"`          // of log10 ms, n-2 degrees of freedom
	SlopeT         *stats.Interval `json:"slope_t_ci"`           // 95 %, Student t
	InterceptT     *stats.Interval `json:"log10_intercept_t_ci"` // 95 %, Student t

	SlopeBoot     *stats.Interval `json:"slope_boot_ci"`           // 95 %, percentile bootstrap over models
	InterceptBoot *stats.Interval `json:"log10_intercept_boot_ci"` // 95 %
	BootRequested int             `json:"boot_n_requested"`
	BootUsed      int             `json:"boot_n_used"`       // the rest drew one model only
	BootTwoModels int             `json:"boot_n_two_models"` // of those used: drew two models only

	SpearmanRho       *float64        `json:"spearman_rho"`
	SpearmanP         *float64        `json:"spearman_p"`       // t approximation, as scipy
	SpearmanPExact    *float64        `json:"spearman_p_exact"` // by permutation, up to 9 models without ties
	TheilSenSlope     *float64        `json:"theilsen_slope"`
	TheilSenIntercept *float64        `json:"theilsen_log10_intercept"`
	TheilSen          *stats.Interval `json:"theilsen_slope_ci"` // 95 %, Sen 1968

	LeaveOneOut     []LeaveOneOut     `json:"leave_one_out"`    // in the order of Points; empty below 4 models
	MostInfluential string            `json:"most_influential"` // model whose absence moves the slope most
	Law             string            `json:"law"`              // power_law, flat, bent, one_point or not_identified; "" without a fit
	Curvature       *Curvature        `json:"curvature"`        // nil where the points cannot show one
	Misfit          *Misfit           `json:"misfit"`           // nil below 4 models
	Warnings        []finding.Warning `json:"warnings"`
}

// LeaveOneOut is a fit without one of its models.
type LeaveOneOut struct {
	Dropped        string          `json:"dropped"`
	N              int             `json:"n_models"`
	Slope          *float64        `json:"slope"`
	Log10Intercept *float64        `json:"log10_intercept"`
	R2             *float64        `json:"r2"`
	SlopeChange    *float64        `json:"slope_change"` // this slope less the whole fit's
	SlopeT         *stats.Interval `json:"slope_t_ci"`   // 95 %, Student t
}

// Forms of an OffsetFit, as TR121 names them.
const (
	FormLinear = "lat = a + b*P"
	FormPower  = "lat = a + b*P^s"
)

// Verdicts of an OffsetFit of FormLinear.
const (
	OffsetFixed    = "fixed_cost"    // a straight line with a fixed cost above 0
	OffsetNone     = "no_fixed_cost" // a straight line; its fixed cost could be 0
	OffsetPowerLaw = "power_law"     // a power law without a fixed cost fits as well
	OffsetNoLine   = "not_a_line"
	OffsetFlat     = "flat" // no growth
	OffsetUnknown  = "unknown"
)

// OffsetFit is latency as a fixed part and one that grows with size, by least
// relative errors.
type OffsetFit struct {
	Backend     string `json:"backend"`
	BackendKind string `json:"backend_kind"`
	BatchSize   int    `json:"batch_size"`
	Mode        string `json:"mode"`
	Scenario    string `json:"scenario"`
	Aggregation string `json:"aggregation"`
	Form        string `json:"fit"` // FormLinear or FormPower
	Axis        string `json:"x_axis"`
	NModels     int    `json:"n_models"`
	OK          bool   `json:"ok"`
	Verdict     string `json:"verdict"` // FormLinear only: whether A may be called a fixed cost
	Reason      string `json:"reason"`  // why not OK, or why A may not

	A             *float64          `json:"a_ms"`
	ACI           *stats.Interval   `json:"a_ci_ms"`                        // 95 % t-interval; FormLinear only
	B             *float64          `json:"b"`                              // ms per unit of x (to the power s)
	S             *float64          `json:"s"`                              // FormPower only
	StraightP     *float64          `json:"straight_p"`                     // of a straight line against another power of x; FormLinear only
	LackP         *float64          `json:"lack_of_fit_p"`                  // of the points lying on the line, against the calls' scatter; FormLinear only
	R2            *float64          `json:"r2"`                             // of the relative times
	OverheadAtMin *float64          `json:"overhead_fraction_at_min_model"` // a / the smallest model's measured time; nil where the points are no line, or a is below 0 or more than that time
	OverheadAtMax *float64          `json:"overhead_fraction_at_max_model"`
	Warnings      []finding.Warning `json:"warnings"`
}

// Correlation holds rank correlations of latency with a model's shape.
type Correlation struct {
	Backend     string   `json:"backend"`
	BackendKind string   `json:"backend_kind"`
	BatchSize   int      `json:"batch_size"`
	Mode        string   `json:"mode"`
	Scenario    string   `json:"scenario"`
	NModels     int      `json:"n_models"`
	RhoParams   *float64 `json:"spearman_rho_log_params"`
	PParams     *float64 `json:"spearman_p_log_params"`
	RhoLayers   *float64 `json:"spearman_rho_n_layer"`
	PLayers     *float64 `json:"spearman_p_n_layer"`
	RhoWidth    *float64 `json:"spearman_rho_n_embd"`
	PWidth      *float64 `json:"spearman_p_n_embd"`
}

// TwoPredictorFit is ln(latency_ms) = Alpha + Beta*ln(x) + Gamma*ln(layers).
type TwoPredictorFit struct {
	Backend       string            `json:"backend"`
	BackendKind   string            `json:"backend_kind"`
	BatchSize     int               `json:"batch_size"`
	Mode          string            `json:"mode"`
	Scenario      string            `json:"scenario"`
	Axis          string            `json:"x_axis"`
	NModels       int               `json:"n_models"`
	OK            bool              `json:"ok"`
	Reason        string            `json:"reason"`
	Alpha         *float64          `json:"alpha"`
	Beta          *float64          `json:"beta_log_params"`
	Gamma         *float64          `json:"gamma_log_layers"`
	R2            *float64          `json:"r2"`
	BetaBoot      *stats.Interval   `json:"beta_boot_ci"`
	GammaBoot     *stats.Interval   `json:"gamma_boot_ci"`
	R2Boot        *stats.Interval   `json:"r2_boot_ci"`
	BootRequested int               `json:"boot_n_requested"`
	BootUsed      int               `json:"boot_n_used"`
	Warnings      []finding.Warning `json:"warnings"`
}
