//go:build !amd64 || noasm

package pairs

// levels calls f for the only set of loops.
func levels(f func(level string)) { f("generic") }
