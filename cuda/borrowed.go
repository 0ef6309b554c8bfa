package cuda

// borrowed is memory of Go's heap that copies may still read. Where the device reads it by itself, as it
// does where both share an address space, the driver is not done with it when the call returns, and nobody
// else may hold it any more.
type borrowed struct {
	memory [][]byte
	total  int // ever borrowed
}

// borrow keeps memory until the queue has passed its copy.
func (q *Queue) borrow(src []byte) {
	if !q.b.pinned(src) {
		q.borrowed.memory = append(q.borrowed.memory, src)
		q.borrowed.total++
	}
}

// drop lets go of the first upTo that were ever borrowed.
func (l *borrowed) drop(upTo int) {
	n := len(l.memory) - (l.total - upTo)
	if n <= 0 {
		return
	}
	rest := copy(l.memory, l.memory[n:])
	clear(l.memory[rest:])
	l.memory = l.memory[:rest]
}
