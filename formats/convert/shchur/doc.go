// Package shchur reads the .npz data sets of Shchur et al., "Pitfalls of Graph Neural
// Network Evaluation" (arXiv:1811.05868): CoraFull, Coauthor CS and Physics, Amazon
// Computers and Photo. One archive holds the adjacency as CSR arrays (adj_data, adj_indices,
// adj_indptr, adj_shape), the features as CSR arrays (attr_…) or dense (attr_matrix), and
// labels. The archives have no split, so one is drawn or read from a file.
package shchur
