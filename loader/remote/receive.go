package remote

import (
	"context"

	"github.com/sourcegraph/conc/stream"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/loader"
)

// makers is how many batches of a lane are checked and transposed at the same time.
const makers = 3

// receiver makes batches of what arrives in a stream, several at a time, and delivers them in
// order.
type receiver struct {
	lane   *lane
	ctx    context.Context
	cancel context.CancelFunc // ends the stream
	tasks  *stream.Stream
	next   uint64 // index of the next message
	more   bool   // whether there is one
	step   uint64
	err    error // of the first batch that could not be delivered; set in order
}

func (l *lane) receive(ctx context.Context, cancel context.CancelFunc, step uint64) *receiver {
	return &receiver{lane: l, ctx: ctx, cancel: cancel, tasks: stream.New().WithMaxGoroutines(makers), next: l.next, more: l.more, step: step}
}

func (r *receiver) host() string { return r.lane.client.cfg.Hosts[r.lane.host] }

// slot waits for memory.
func (r *receiver) slot() (*slot, error) {
	select {
	case s := <-r.lane.free:
		return s, nil
	case <-r.ctx.Done():
		return nil, r.ctx.Err()
	}
}

// add makes the next batch of a message, in the memory of s. The memory of the message is there
// until release, which puts s back as well.
func (r *receiver) add(s *slot, header, body []byte, d *arrowrec.Decoder, release func(*loader.Batch)) {
	l, index, expected := r.lane, r.next, r.more
	r.next, r.more = l.client.cfg.after(r.next, r.step)
	next, more := r.next, r.more
	r.tasks.Go(func() stream.Callback {
		b, err := l.make(s, header, body, d, release, index, expected)
		return func() {
			if r.err == nil && err != nil {
				r.err = err
				r.cancel()
			}
			if r.err != nil {
				release(&loader.Batch{})
				return
			}
			select {
			case l.out <- b:
				l.next, l.more = next, more
			case <-r.ctx.Done():
				r.err = r.ctx.Err()
				b.Release()
			}
		}
	})
}

// end waits for the batches that have arrived. It returns why they could not be delivered, and
// otherwise err. Then lane.next is the batch that is wanted.
func (r *receiver) end(err error) error {
	r.tasks.Wait()
	if r.err != nil {
		return r.err
	}
	return err
}

// make makes a batch of a message, in the memory of s.
func (l *lane) make(s *slot, header, body []byte, d *arrowrec.Decoder, release func(*loader.Batch), index uint64, expected bool) (*loader.Batch, error) {
	cfg, host := &l.client.cfg, l.client.cfg.Hosts[l.host]
	row, err := d.Decode(header, body)
	if err != nil {
		return nil, formats.BadInput(host, "batch %d: %v", index, err)
	}
	if !expected || row.Index != index {
		return nil, formats.BadInput(host, "it sent batch %d, want batch %d", row.Index, index)
	}
	b := loader.NewBatch(release)
	b.TransIndptr, b.TransIndices, b.TransPerm, b.TransNorm = s.transIndptr, s.transIndices, s.transPerm, s.transNorm
	b.Subgraph, b.Phase, b.Index = row.Subgraph, cfg.Meta.Phase, row.Index
	b.Features, b.Class, b.Multi = row.Features, row.Class, row.Multi
	t := <-l.transposers // never blocks: there are as many as makers
	t.Apply(b, cfg.Symmetric)
	l.transposers <- t
	s.transPerm, s.transNorm = b.TransPerm, b.TransNorm
	if &b.TransIndptr[0] != &b.Indptr[0] { // else they are the message's
		s.transIndptr, s.transIndices = b.TransIndptr, b.TransIndices
	}
	return b, nil
}
