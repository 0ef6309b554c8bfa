package spmm

import "github.com/saint-gnn/saint/internal/cpufeat"

func asmRows(cpufeat.Level) rowsFunc { return nil }
