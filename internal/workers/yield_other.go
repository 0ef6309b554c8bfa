//go:build !linux

package workers

// yield does nothing.
func yield() {}
