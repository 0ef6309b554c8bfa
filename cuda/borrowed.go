package cuda

// borrowed is memory of Go's heap that copies may still read or write. Where the device reaches it by itself,
// as it does where both share an address space, the driver is not done with it when the call returns, and
// nobody else may hold it any more: a caller that met an error does not.
type borrowed struct {
	memory [][]byte
	total  int // ever borrowed
}

// borrow keeps memory until the queue has passed its copy.
func (q *Queue) borrow(host []byte) {
	if !q.b.pinned(host) {
		q.borrowed.memory = append(q.borrowed.memory, host)
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
