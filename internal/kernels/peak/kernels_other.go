//go:build !amd64 || noasm

package peak

import "github.com/saint-gnn/saint/internal/cpufeat"

// kernel returns a function that runs n rounds, and the operations of a round.
func kernel(cpufeat.Level) (flops int, run func(n int)) { return flopsGo, fmaGo }

// tiles returns what kernel does for products on tiles: nothing.
func tiles(cpufeat.Level) (flops int, run func(n int)) { return 0, nil }
