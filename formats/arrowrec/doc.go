// Package arrowrec is the one Arrow representation of a training batch: the local
// pipeline, the sampling service and exported files all use it.
//
// A subgraph has columns of three different lengths (nodes, nodes+1, edges), and the
// columns of a record have one; so a batch is one row of list columns. [Schema] builds
// the schema from a [Meta], [Record] wraps the slices of a [Row] without copying, and
// [View] gives the slices back, also without copying, after checking everything that a
// consumer relies on: the bytes of a record come from files and networks.
//
// [Writer] and [Reader] are the file form, an Arrow IPC stream. The bytes of a stream are
// a function of its rows and its Meta alone, so that its SHA-256 identifies a sample.
// docs/formats/batch.md describes the format column by column.
package arrowrec
