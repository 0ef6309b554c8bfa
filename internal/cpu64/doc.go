// Package cpu64 is the backend that computes in double precision on the host's processors;
// importing it registers "cpu64" with trainer/tensor.
//
// It is a device of its own: its arenas hold F64 where layers ask for F32, uploads widen
// float32 and downloads round to it if that is what the other side has. Operations are written
// to be read: loops over float64 without special kernels, the reference for those that have
// some. They are cut into tasks by the shapes of their operands, and every sum has one order,
// so results are the same bits for any number of threads.
package cpu64
