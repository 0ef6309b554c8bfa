//go:build unix

package main

import (
	"runtime"
	"syscall"
)

// peakRSS returns the most resident memory the process has had, in bytes, 0 if unknown.
func peakRSS() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	unit := 1024
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return int64(unit) * int64(u.Maxrss) //nolint:unconvert // the field has 32 bits on some systems
}
