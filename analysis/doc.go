// Package analysis turns the artifacts of one run into answers: cell
// summaries, scaling fits, tail ratios, and the warnings that belong beside
// them. It reads files and nothing else, so a run can be analysed on a machine
// that could never have measured it.
//
// The opinions it holds:
//
//   - A number that the data cannot carry is absent (nil, "unknown" or "too
//     few"), never zero and never extrapolated.
//   - Warnings are data: they stand beside the number that they concern and say
//     what to do about it.
//   - Raw samples stay in run order; every summary is recomputed from them, and
//     no caller's slice is sorted or scaled.
//   - The same artifacts, options and seed give the same bytes.
//
// Load reads a run folder (of llmscale, or of the TR121 Python harness), Analyze
// computes a Result, Write puts its tables into a folder. docs/statistics.md
// has each formula with its source.
package analysis
