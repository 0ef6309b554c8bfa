// Package partition cuts graphs into parts of equal size with few edges between them, as METIS
// does.
package partition
