// Package cells sorts the records of a run into cells (the calls of one backend at
// one batch size, of one model, in one scenario, in one mode), sums each up, and
// finds them again: by key, by series, by model. Whatever asks a question of a run
// asks it of a Set.
package cells
