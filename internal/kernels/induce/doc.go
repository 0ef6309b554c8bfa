// Package induce has the inner loops of inducing a subgraph: which entries of the rows of a
// set of nodes lead into the set, where those nodes stand in it, how often each entry was
// met, and what an entry is worth in a subgraph.
//
// A set is a bitmap of 32-bit words: node v is in it if bit v%32 of word v/32 is set. Rows
// are those of a CSR matrix: columns Indices[Indptr[v]:Indptr[v+1]], ascending. All functions
// trust their arguments: ids must lie in the matrix and in the bitmap. The results are the
// same whatever the instruction set. Nothing is allocated, and functions may run
// concurrently as long as they write to different memory.
package induce
