// Package remote is the sampling service: batches over Arrow Flight, for trainers on other
// machines and for programs in other languages.
//
// A [Server] offers data sets, each with the phases of a configuration. A stream is named by a
// [Ticket] and batch i of it is a function of the ticket alone, so that a stream goes on
// anywhere with another From and a lost server is replaced by any other with the same data.
// Normalisations are computed once for each (data set, phase, seed) and shared by all streams.
//
// [Open] returns a loader.Source that reads a stream from one or several servers, reconnects,
// and delivers what loader.Open would deliver locally, bit for bit.
//
// Column buffers go from the pipeline's memory to the socket without being encoded or copied by
// this package, and from the receive buffers once into a batch. Clients on the same machine map
// files to which the workers of the pipeline gather features and copy the rest: nobody copies
// them again. Back pressure is HTTP/2's flow
// control: a slow client stops its own pipeline and nobody else's.
//
// The bytes are described in docs/formats/batch.md, operation in docs/service.md.
package remote
