// Package loader turns a sampler into an ordered, bounded, cancellable stream of batches.
//
// [Open] starts a [Pipeline]: worker goroutines draw, induce, normalise and (if asked)
// gather features, and batches come out in index order whatever the number of workers.
// Memory is a fixed set of batches that the consumer returns with [Batch.Release]; a slow
// consumer therefore stops the workers. An error or panic in a stage ends the stream with
// its cause.
package loader
