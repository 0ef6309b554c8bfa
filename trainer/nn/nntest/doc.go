// Package nntest is the contract that every layer must pass. A layer's test is one line:
//
//	nntest.Check(t, "high_order", nn.Spec{In: 5, Dim: 4, Order: 1, …}, oneThread, fourThreads)
//
// It compares gradients with central differences, row tiles and projections with the whole
// graph, and backends with each other; it looks for leaked tensors, for saved tensors that
// backward did not ask for, for inputs that changed, and it runs the graphs that break
// layers: isolated nodes, one node, no edges, no nodes.
package nntest
