// Package culoader lets one binary run with and without the CUDA driver. It supplies the cu*
// symbols that gorgonia.org/cu links against as jumps through a table, and fills the table from
// libcuda.so.1 when Open is called: the program starts on any machine, and a missing driver is an
// error of Open instead of one of the dynamic linker.
//
// Before Open every entry answers CUDA_ERROR_NOT_INITIALIZED, except cuInit: the binding calls it
// while packages are initialised and ends the process if it fails, so until then it answers
// success and does nothing.
//
// It has code only in builds with -tags cuda for Linux; see symbols.h for the list of entries.
package culoader
