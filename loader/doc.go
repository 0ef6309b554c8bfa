// Package loader turns a sampler into an ordered, bounded, cancellable stream of batches.
//
// [Open] starts a [Pipeline]: worker goroutines draw, induce, normalise, transpose and (if
// asked) gather labels and features, and batches come out in index order whatever the
// number of workers. Batch i is a function of the training graph, the sampler's
// parameters, the seed, the phase and i alone, so that a stream resumes anywhere with
// Config.From and splits over consumers with Config.Shard.
//
// Memory is a fixed set of batches that the consumer returns with [Batch.Release]; a slow
// consumer therefore stops the workers. It comes from an Arrow allocator, so that a
// [Batch] is a view of one Arrow record ([Batch.Record]) and may lie in memory that a GPU
// reads.
//
// An error or panic in a stage ends the stream with a [StageError] after every batch before
// it. Close must be called in every case; batches outlive it until they are released.
//
// The loadertest package is the contract that every [Source] must pass.
package loader
