// Package plot makes the figures whose questions have no package of their own yet, and
// draws all figures of an analysed run.
package plot
