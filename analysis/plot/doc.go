// Package plot draws the figures of one analysed run as PNG and SVG.
//
// The opinions it holds:
//
//   - A figure shows what was measured and nothing beyond it: fitted lines end
//     at the outermost models, points that the data cannot carry are not drawn,
//     and the caption says which and why.
//   - Each axis has its unit, each figure says its backend, mode, scenario and
//     number of models, and each caption can be read without the report.
//   - Colours come from a palette that colour-blind readers can tell apart, and
//     shapes repeat what colours say. Models in their order of size take a
//     sequential palette, backends a categorical one.
//   - The same Result gives the same bytes.
package plot
