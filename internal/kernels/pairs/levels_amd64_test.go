//go:build !noasm

package pairs

import "github.com/saint-gnn/saint/internal/cpufeat"

// levels calls f with every instruction set chosen.
func levels(f func(level string)) {
	defer func(l cpufeat.Level) { level = l }(level)
	for l := cpufeat.Generic; l <= cpufeat.Best(); l++ {
		level = l
		f(l.String())
	}
}
