// Package finding holds what questions answer with: warnings, numbers that may be
// unknown, and tables. It knows neither runs nor cells.
//
// A table is declared by the struct of its rows: the tags json, csv, unit and doc of
// a field give its name in analysis.json, its column, its unit and its meaning in
// docs/tables.md.
package finding
