// Package saintcpp reads and writes the folders of flat binary arrays that GraphSAINT's
// precursor in C++ loads (Zeng et al., "Accurate, Efficient and Scalable Graph Embedding",
// IPDPS 2019). docs/formats/saint-cpp.md lists the bytes.
//
// The format holds standardised features and one-hot labels only, so [Write] adds a file
// saint.json that the C++ program ignores, with what is needed to get the original data
// back. [Read] does without it as well.
package saintcpp
