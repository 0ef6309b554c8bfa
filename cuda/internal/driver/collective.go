package driver

// Joiner is a Device that may have a library of sums over devices (NCCL).
type Joiner interface {
	// Join makes devices exchange memory; all are of one driver and different, and the receiver is the
	// first. The error wraps ErrNoLibrary where there is no library.
	Join(devices []Device) (Collective, error)
}

// Collective is devices that exchange memory. One goroutine at a time may use it.
type Collective interface {
	// Library names what was loaded, with its version.
	Library() string
	// Reduce queues, on streams[i] of device i, that the counts[k] floats at at[0][k] become the sum of
	// those at at[i][k] of all devices.
	Reduce(at [][]Ptr, counts []int, streams []Stream) error
	// Broadcast queues that the floats at at[i][k] become those at at[0][k] of the first device.
	Broadcast(at [][]Ptr, counts []int, streams []Stream) error
	// Failed returns what went wrong with work that was queued, as far as the library has noticed.
	Failed() error
	// Abort makes devices give up waiting for others that will never come. What is left is Close.
	Abort() error
	Close() error
}
