// Package nn holds the layers of graph neural networks and the two seams they are written
// against: [Graph], the adjacency that a layer aggregates over (a minibatch, row tiles of
// the full graph, a graph spread over machines), and [Store], which keeps activations from
// forward to backward (as they are, or compressed).
//
// A model is built once by [Build] with a [DeviceBuilder], or with a [ShapeBuilder] to check
// a configuration. A step makes a [Context] of queue, arena and store, runs
// [Sequential.Forward], a loss, and [Sequential.Backward], and hands the parameters to an
// optimizer. Layers allocate with Context.New and Context.Temp and never release: the
// container does, so every step ends with an empty arena.
//
// A layer is one file: a type that implements [Layer], a factory, and an init function that
// calls [Register]; a configuration then finds it by name. Its test is one call of
// nntest.Check, the contract that every layer must pass.
package nn
