//go:build !amd64 || noasm

package spmm

import "github.com/saint-gnn/saint/internal/cpufeat"

// asmRows reports that this build has no such kernel.
func asmRows(cpufeat.Level) rowsFunc { return nil }
