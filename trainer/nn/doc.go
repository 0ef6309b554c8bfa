// Package nn holds the layers of graph neural networks and the two seams they are written
// against: [Graph], the adjacency that a layer aggregates over (a minibatch, row tiles of
// the full graph, a graph spread over machines), and [Store], which keeps activations from
// forward to backward (as they are, or compressed). A layer is one file that registers
// itself; the nntest package is the contract it must pass.
package nn
