// Package ptx runs PTX, the assembly text that the CUDA driver compiles, on the CPU: so that the
// kernels which ship, and the way they are launched, are tested where there is no GPU.
//
// It interprets what a compiler makes of the kernels here, not the whole language: an instruction
// that it does not know is an error of [Parse]. A warp's lanes run in lockstep while they are at
// the same instruction, the ones furthest behind first. Every access is checked for bounds,
// alignment and lifetime, barriers and shuffles for the lanes that have to be there, and a block
// for ending at all; memory that nobody wrote reads as NaN. Blocks and, if asked for, the warps of
// a block run in reverse order, which shows barriers that are missing.
//
// Arithmetic is IEEE 754 as PTX defines it; the approximate instructions ex2 and lg2 are exact to
// rounding, which a GPU's are not.
package ptx
