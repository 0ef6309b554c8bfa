package tensor

// Planner is a Backend whose memory can be planned and taken before it is needed. Its arenas, queues
// and copies are Reservers.
type Planner interface {
	// Dry returns a backend that computes nothing and has no data: it only counts what this one would
	// take. What is downloaded from it is 0 or undefined.
	Dry() Backend
	// HeldBytes returns the bytes of the device that the backend has now, and the most that it had.
	HeldBytes() (now, most int64)
	// Free returns the bytes of the device that nobody has.
	Free() (int64, error)
}

// Reserver takes memory of a Planner's device.
type Reserver interface {
	// Taken returns the most bytes that were needed at a time; those of one set for Copies.
	Taken() int64
	// Reserve takes that many bytes now, so that nothing more is asked of the device while no more is
	// needed. What had to be taken before may be given back: nothing may be in use. Its error is an
	// *OutOfMemoryError where there is too little.
	Reserve(bytes int64) error
}
