// Package edgelist reads graphs given as a list of edges, with features, labels and a split
// in files of their own: delimited text (.csv, .tsv, .txt, also .gz), Parquet or Arrow
// tables, and .npy arrays for what has one row a node.
//
// Node ids may be anything. They are numbered in ascending order, whole numbers by value
// and before all other ids, which are ordered by their bytes, so that neither the order of
// lines nor that of files matters.
package edgelist
