package scaling

import "llmscale/analysis/finding"

// FitTable is a table of fits, TR121's columns first; more names further ones.
func FitTable(file, doc string, fits []Fit, more string) finding.Table {
	return finding.TableOf(file, doc, fits,
		`backend backend_kind batch_size mode scenario aggregation n_models ok log10_intercept slope r2
		spearman_rho_loglog spearman_p_loglog theilsen_slope theilsen_log10_intercept theilsen_slope_ci_low theilsen_slope_ci_high
		slope_ci_low slope_ci_high log10_intercept_ci_low log10_intercept_ci_high boot_n_used boot_n_requested
		x_axis slope_se log10_intercept_se residual_sd slope_t_ci_low slope_t_ci_high log10_intercept_t_ci_low log10_intercept_t_ci_high
		spearman_p_exact boot_n_two_models most_influential slope_without_most_influential warnings reason blocks slope_blocks_ci_low slope_blocks_ci_high slope_hc3_ci_low slope_hc3_ci_high `+more,
		finding.Compute("slope_without_most_influential", "", "slope without it", func(f Fit) any {
			if l := f.Influential(); l != nil {
				return l.Slope
			}
			return ""
		}))
}
