// Package loss holds the training losses of node classification: softmax cross entropy for
// one label a node, sigmoid cross entropy for several. Both are weighted sums over nodes, so
// that GraphSAINT's loss normalisation (arXiv:1907.04931, Section 3.2) is the weight.
package loss
