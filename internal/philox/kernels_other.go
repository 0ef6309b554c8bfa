//go:build !amd64 || noasm

package philox

// blocks leaves everything to the portable loop.
func blocks(_, _ uint64, _ []uint32) int { return 0 }

// drops leaves everything to the portable loop.
func drops(_, _ uint64, _ uint32, _ float32, _, _ []float32) int { return 0 }

// dropsKept leaves everything to the portable loop.
func dropsKept(_, _ uint64, _ uint32, _ float32, _, _ []float32, _ []uint16) int { return 0 }

// applies leaves everything to the portable loop.
func applies(_ []uint16, _ float32, _, _ []float32) int { return 0 }
