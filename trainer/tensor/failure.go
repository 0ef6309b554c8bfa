package tensor

import "fmt"

// OutOfMemoryError says that a device with memory of its own has too little of it.
type OutOfMemoryError struct {
	Device string // for example "cuda:0"
	Asked  int64  // bytes
	Held   int64  // bytes that this program has of the device already
	Free   int64  // bytes that nobody has
	Total  int64  // bytes of the device
	Err    error  // the driver's own words
}

// Error says what was asked for and what there is.
func (e *OutOfMemoryError) Error() string {
	return fmt.Sprintf("out of memory on %s: %s asked for, %s held, %s of %s free", e.Device, size(e.Asked), size(e.Held), size(e.Free), size(e.Total))
}

// Unwrap returns the driver's error.
func (e *OutOfMemoryError) Unwrap() error { return e.Err }

// size writes bytes so that little does not read as nothing.
func size(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.4g KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d MiB", (n+(1<<20-1))>>20)
}

// LostError says that a device answers nothing any more: a kernel failed, or the device is gone. What
// was on it is lost.
type LostError struct {
	Device string
	Err    error // the driver's own words
}

// Error says that and why.
func (e *LostError) Error() string { return fmt.Sprintf("%s is lost: %v", e.Device, e.Err) }

// Unwrap returns the driver's error.
func (e *LostError) Unwrap() error { return e.Err }
