// Package npy reads and writes NumPy's .npy files: one array each, versions 1 to 3 of the
// format, elements of type bool, int8…int64, uint8…uint64, float16, float32 and float64
// in either byte order, in C or Fortran order; byte and unicode strings can be read.
//
// [Open] maps a file and hands out rows of a matrix as float32, whatever the file holds;
// the matrix may be larger than memory. [ReadFile] reads a whole array, whose accessors
// convert to the wanted Go type with range checks. [Write] and [WriteFile] write one.
//
// Nothing is allocated from a length that was not compared with the file's size, and
// what is wrong with a file comes back as a *formats.InputError that names the byte.
package npy
