package scaling

import (
	"fmt"
	"math"
	"strings"

	"llmscale/analysis/cells"
	"llmscale/analysis/finding"
	"llmscale/analysis/stats"
)

// fitPlane fills in ln(ms) = alpha + beta*ln(x) + gamma*ln(layers).
func fitPlane(f *TwoPredictorFit, points []Point, layers []float64, opt cells.Options) {
	f.NModels = len(points)
	u := stats.Map(points, func(p Point) float64 { return math.Log(p.X) })
	v := stats.Map(layers, math.Log)
	y := stats.Map(points, func(p Point) float64 { return math.Log(p.Y) })
	where := strings.Join([]string{f.Backend, f.Mode, f.Scenario, "two predictors"}, " ")
	if n := stats.Distinct(u); n < stats.MinPoints+1 {
		f.Reason = fmt.Sprintf("%s, of known depth; two predictors take %d", sizesOf(n), stats.MinPoints+1)
		return
	}
	c, r2, ok := stats.Plane(u, v, y)
	if !ok {
		f.Reason = "size and depth cannot be told apart in these models: all of one depth, or depth follows size exactly"
		return
	}
	f.OK = true
	f.Alpha, f.Beta, f.Gamma, f.R2 = stats.Finite(c[0]), stats.Finite(c[1]), stats.Finite(c[2]), stats.Finite(r2)
	if len(points) < 3*4 { // the usual rule of thumb asks for ten points per predictor; below four the R2 is mostly chance
		f.Warnings = append(f.Warnings, finding.Doubt("few_sizes", where,
			fmt.Sprintf("%d models for two predictors", len(points)),
			"read the bootstrap intervals, not the point estimates; a ladder that varies depth and width apart would decide"))
	}
	if opt.Bootstrap <= 0 {
		return
	}
	f.BootRequested = opt.Bootstrap
	rng := stats.Resampler(opt.Seed, "plane", f.Backend, fmt.Sprint(f.BatchSize), f.Mode, f.Scenario, f.Axis)
	n := len(points)
	ru, rv, ry := make([]float64, n), make([]float64, n), make([]float64, n)
	var betas, gammas, r2s []float64
	for range opt.Bootstrap {
		for i := range n {
			k := rng.IntN(n)
			ru[i], rv[i], ry[i] = u[k], v[k], y[k]
		}
		if stats.Distinct(ru) < 3 {
			continue
		}
		if c, r2, ok := stats.Plane(ru, rv, ry); ok {
			betas, gammas = append(betas, c[1]), append(gammas, c[2])
			if !math.IsNaN(r2) {
				r2s = append(r2s, r2)
			}
		}
	}
	f.BootUsed = len(betas)
	f.BetaBoot = stats.PercentileInterval(betas, opt.Bootstrap, f.Beta)
	f.GammaBoot = stats.PercentileInterval(gammas, opt.Bootstrap, f.Gamma)
	f.R2Boot = stats.PercentileInterval(r2s, opt.Bootstrap, f.R2)
	if bad := opt.Bootstrap - f.BootUsed; bad > opt.Bootstrap/20 {
		f.Warnings = append(f.Warnings, finding.Doubt("bootstrap_degenerate", where,
			fmt.Sprintf("%d of %d resamples could not tell size from depth and were left out", bad, opt.Bootstrap),
			"measure more models; until then the intervals are rough"))
	}
}

// Correlation holds rank correlations of latency with a model's shape.
type Correlation struct {
	Subject
	NModels   int      `json:"n_models" doc:"models of known shape"`
	RhoParams *float64 `json:"spearman_rho_log_params" doc:"rho of latency with size"`
	PParams   *float64 `json:"spearman_p_log_params" doc:"its two-sided p, t approximation"`
	RhoLayers *float64 `json:"spearman_rho_n_layer" doc:"rho of latency with depth"`
	PLayers   *float64 `json:"spearman_p_n_layer" doc:"its two-sided p, t approximation"`
	RhoWidth  *float64 `json:"spearman_rho_n_embd" doc:"rho of latency with width"`
	PWidth    *float64 `json:"spearman_p_n_embd" doc:"its two-sided p, t approximation"`
}

// TwoPredictorFit is ln(latency_ms) = Alpha + Beta*ln(x) + Gamma*ln(layers).
type TwoPredictorFit struct {
	Subject
	Axis          string            `json:"x_axis" doc:"what the fit has on x"`
	NModels       int               `json:"n_models" doc:"models of known depth"`
	OK            bool              `json:"ok" doc:"whether there is a fit"`
	Reason        string            `json:"reason" doc:"why there is no fit"`
	Alpha         *float64          `json:"alpha" unit:"ln ms" doc:"constant"`
	Beta          *float64          `json:"beta_log_params" doc:"exponent of size"`
	Gamma         *float64          `json:"gamma_log_layers" doc:"exponent of depth"`
	R2            *float64          `json:"r2" doc:"R2 in log space"`
	BetaBoot      *stats.Interval   `json:"beta_boot_ci" csv:"beta_log_params_ci" doc:"95 % bootstrap interval of beta"`
	GammaBoot     *stats.Interval   `json:"gamma_boot_ci" csv:"gamma_log_layers_ci" doc:"95 % bootstrap interval of gamma"`
	R2Boot        *stats.Interval   `json:"r2_boot_ci" csv:"r2_ci" doc:"95 % bootstrap interval of R2"`
	BootRequested int               `json:"boot_n_requested" doc:"resamples drawn"`
	BootUsed      int               `json:"boot_n_used" doc:"resamples that gave a fit"`
	Warnings      []finding.Warning `json:"warnings" doc:"codes of the fit's warnings"`
}
