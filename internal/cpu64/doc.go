// Package cpu64 is the backend that computes in double precision on the host's processors;
// importing it registers "cpu64" with trainer/tensor.
//
// It is a device of its own: its arenas hold F64 where layers ask for F32, uploads widen
// float32 and downloads round to it if that is what the other side has. Operations are written
// to be read: plain loops over float64, of which the two that take the time have vector kernels
// with the same bits. On amd64, then, results do not depend on SAINT_ISA, and those of other
// backends can be held to them. Operations are cut into tasks by the shapes of their operands,
// and every sum has one order, so results are the same bits for any number of threads.
package cpu64
