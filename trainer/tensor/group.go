package tensor

// Grouper is a Backend that can add tensors of several devices of its kind up without the host.
type Grouper interface {
	// NewGroup joins queues of different devices, of which the first is this backend's. The error says
	// why that cannot be done.
	NewGroup(queues []Queue) (Group, error)
}

// Group is queues of different devices that exchange tensors. ts[i] are the tensors of queue i, all
// lists alike in number, shapes and types (F32, contiguous). Operations are queued behind what the
// queues have already, and failures are kept by the queues as those of their own operations are. One
// goroutine at a time may use a group, while nobody else uses its queues.
type Group interface {
	// Reduce: every tensor of ts[0] += those of all other devices, in an order of its own that is the
	// same every time.
	Reduce(ts [][]Tensor)
	// Broadcast: the tensors of all other devices = those of ts[0].
	Broadcast(ts [][]Tensor)
	// Split says which tensors are to be reduced part by part, beside what the queues do: part k of queue
	// i is ts[i][k]. It is for the whole life of the group.
	Split(ts [][][]Tensor)
	// Final says that queue i has all that makes its part k, which nobody touches from now on. When all
	// queues have, the part is reduced. Every part has its turn once between two calls of Join, in order.
	// A goroutine for each queue may call it, each for its own.
	Final(i, k int)
	// Join makes the queues wait for all parts.
	Join()
	// Wait waits until all queues have done what they have, and returns the first failure. Where a
	// device has failed no other waits for it.
	Wait() error
	Close() error
}
