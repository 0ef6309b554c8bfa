package loader

import (
	"context"
	"io"
	"sync"
)

// Repeater is a Source that delivers one batch of another source again and again; see Repeat.
type Repeater struct {
	src      Source
	next, to uint64

	mu     sync.Mutex
	batch  *Batch // nil before the first Next
	give   func(*Batch)
	out    bool // delivered and not yet released
	closed bool
}

// Repeat returns a Source that draws the first batch of src and delivers it for the indices
// from, …, to-1, with Batch.Repeats set: for samplers whose batches are all the same, so that
// the subgraph, its coefficients and its transpose are made once. A batch must be released
// before the next one is asked for. Close closes src.
func Repeat(src Source, from, to uint64) *Repeater { return &Repeater{src: src, next: from, to: to} }

// Next implements Source.
func (r *Repeater) Next(ctx context.Context) (*Batch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch {
	case r.closed:
		return nil, ErrClosed
	case r.next >= r.to:
		return nil, io.EOF
	case r.out:
		panic("loader: the batch that repeats is asked for before it was released")
	case r.batch == nil:
		b, err := r.src.Next(ctx)
		if err != nil {
			return nil, err
		}
		r.batch, r.give = b, b.release
		b.Repeats = true
	}
	b := r.batch
	b.Index, b.release, r.out = r.next, r.put, true
	r.next++
	return b, nil
}

// put takes the batch back, for good if the source was closed meanwhile.
func (r *Repeater) put(b *Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = false
	if r.closed {
		r.give(b)
	}
}

// Close implements Source.
func (r *Repeater) Close() error {
	r.mu.Lock()
	if r.batch != nil && !r.out && !r.closed {
		r.give(r.batch)
	}
	r.closed = true
	r.mu.Unlock()
	return r.src.Close()
}
