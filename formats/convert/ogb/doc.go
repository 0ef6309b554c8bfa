// Package ogb turns the node property sets of the Open Graph Benchmark (Hu et al.,
// arXiv 2005.00687), as they lie on disk after download, into data folders.
//
// Both forms are read: CSV (raw/edge.csv.gz and its siblings) and binary (raw/data.npz).
// Text is inflated by one goroutine and parsed by several, block by block; what comes out
// does not depend on their number. The adjacency is built in memory where that fits into
// Options.Memory and in files otherwise. Every mistake in the input is a
// *formats.InputError that names file, line and column.
package ogb
