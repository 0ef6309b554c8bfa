package tensor

// Mark is a place in the work of a queue.
type Mark uint64

// Ahead is a Queue of a device that computes beside the host, which can then be ahead of it: the
// host learns of work part by part, and updates that should not have been queued do nothing.
type Ahead interface {
	Queue

	// Mark notes how far the queue is. Eight marks that nobody has waited for may be out.
	Mark() Mark
	// Reached waits until the work before the mark is done, no longer, and returns the queue's first
	// failure. Downloads queued before the mark have then arrived, and host memory that was given
	// before it is the caller's again.
	Reached(m Mark) error

	// Watch: seen (1×3 F32) = the 1×1 tensors loss and norm, and 1 if one of them, now or before, was
	// not finite; the caller sets the third to 0 at the beginning.
	Watch(loss, norm, seen Tensor)
	// Hold makes Adam, SGD, RMSProp and Scale do nothing where held (1×1 F32) is not 0 when they
	// run; the absent tensor ends that.
	Hold(held Tensor)
}

// Recorder is an Ahead that can put work together, for the device to get it at once.
type Recorder interface {
	// Record says whether what comes between Ready and End of the queue's Copies is put together from
	// now on. Results are the same bits. A failure of an operation may be known later, but no later
	// than after End.
	Record(on bool)
	// Refused says why the device gets its work piece by piece all the same, from some step on: nil if
	// it does not.
	Refused() error
}

// Copier is a Backend that copies from the host beside the work of a queue.
type Copier interface {
	// NewCopies returns copies for q, whose queue this backend made to be an Ahead.
	NewCopies(q Queue) (Copies, error)
}

// Copies brings sets of host arrays to the device, one set for each step. Two sets of memory take
// turns: a set is copied while the queue computes with the one before. It is used by the goroutine
// that uses its queue. Its first failure is the queue's.
type Copies interface {
	// Begin starts a set. The tensors of the set before the last one end here, which the queue
	// must have been given all uses of, followed by End.
	Begin()
	// Put returns a contiguous tensor that has src when the queue comes to Ready. Memory of a
	// HostAllocator must stay as it is until a mark after End is reached; other memory is the
	// caller's again at once.
	Put(dt DType, rows, cols int, src []byte) Tensor
	// Ready makes the queue wait for what was put since Begin.
	Ready()
	// End says that the queue was given everything that uses the set.
	End()
	// Sync waits for all copies.
	Sync() error
	// Close waits for all copies and frees the memory; the queue must be done with it.
	Close() error
}

// Counters say what a device was given since it was opened.
type Counters struct {
	Launches      int64 // kernels, and products of a library
	Uploads       int64 // copies from the host
	UploadBytes   int64
	Downloads     int64 // copies to the host
	DownloadBytes int64
	Waits         int64 // times that the host waited for the device, also where that was done already
	Allocations   int64 // of device memory
	PageableBytes int64 // of host memory that should be page-locked and is not, because there was no more
	Graphs        int64 // given to the device, each with many of the launches
	Executables   int64 // graphs that were made ready to run, because none that was there fitted
}

// Sub returns what came after before.
func (c Counters) Sub(before Counters) Counters {
	return Counters{
		c.Launches - before.Launches, c.Uploads - before.Uploads, c.UploadBytes - before.UploadBytes, c.Downloads - before.Downloads,
		c.DownloadBytes - before.DownloadBytes, c.Waits - before.Waits, c.Allocations - before.Allocations,
		c.PageableBytes - before.PageableBytes, c.Graphs - before.Graphs, c.Executables - before.Executables,
	}
}

// Counter is a Backend that counts. Safe for concurrent use.
type Counter interface{ Counters() Counters }
