// Package celltest makes up the records of runs, for tests of what is computed from
// them.
package celltest
