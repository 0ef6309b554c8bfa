// Package inspect looks at a data set before anybody trains on it: how large and how connected
// its graphs are, how its labels are spread over the splits, what its features look like, and
// what of all that is likely to spoil a training run, each with what to do about it.
//
// [Compute] does all the work and returns a [Report] of plain numbers, whose JSON form is what
// the inspect command prints with --json. Its numbers depend on the data alone, never on the
// number of processors.
package inspect
