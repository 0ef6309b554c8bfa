// Package formats holds the data types that every other package shares and, in its
// subpackages, the conversions between them and bytes on disk or on the wire.
//
// The types that matter are [Graph] (an adjacency in CSR form), [Dataset] (one loaded
// data folder), [Subgraph] (one sampled minibatch) and [InputError] (what is wrong with
// which bytes of a user's file). Nothing here samples, trains or knows a device.
package formats
