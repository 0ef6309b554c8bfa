//go:build !amd64 || noasm

package philox

// blocks leaves everything to the portable loop.
func blocks(_, _ uint64, _ []uint32) int { return 0 }

// drops leaves everything to the portable loop.
func drops(_, _ uint64, _ uint32, _ float32, _, _ []float32) int { return 0 }
