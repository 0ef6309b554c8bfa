package remote

import (
	"context"
	"fmt"
	"sync"

	"github.com/sourcegraph/conc"

	"github.com/saint-gnn/saint/samplers"
)

// normID names a normalisation of a server.
type normID struct {
	dataset string
	phase   int
	seed    uint64
}

// norms computes each normalisation once, however many ask at the same time, and keeps the
// most recent ones.
type norms struct {
	most int
	busy chan struct{} // one is computed at a time: it takes all cores
	run  conc.WaitGroup

	mu   sync.Mutex
	kept map[normID]*normEntry
	tick uint64
	made uint64
}

type normEntry struct {
	id     normID
	ready  chan struct{} // closed when norm and err are set
	norm   *samplers.Norm
	err    error
	cancel context.CancelFunc

	users int    // under norms.mu
	used  uint64 // tick of the last use
}

func newNorms(most int) *norms {
	return &norms{most: most, busy: make(chan struct{}, 1), kept: map[normID]*normEntry{}}
}

// get returns the normalisation, computing it if nobody has. It is kept while in use; the
// caller calls release once when it is done. If all who wait go away, computing stops.
func (n *norms) get(ctx context.Context, id normID, compute func(context.Context) (*samplers.Norm, error)) (norm *samplers.Norm, release func(), err error) {
	e, err := n.enter(id, compute)
	if err != nil {
		return nil, nil, err
	}
	release = sync.OnceFunc(func() { n.leave(e) })
	select {
	case <-e.ready:
	case <-ctx.Done():
		release()
		return nil, nil, ctx.Err()
	}
	if e.err != nil {
		release()
		return nil, nil, e.err
	}
	return e.norm, release, nil
}

// enter finds or starts an entry and becomes one of its users.
func (n *norms) enter(id normID, compute func(context.Context) (*samplers.Norm, error)) (*normEntry, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tick++
	e := n.kept[id]
	if e == nil {
		if err := n.makeRoom(); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		e = &normEntry{id: id, ready: make(chan struct{}), cancel: cancel}
		n.kept[id] = e
		n.run.Go(func() { n.compute(ctx, e, compute) })
	}
	e.users, e.used = e.users+1, n.tick
	return e, nil
}

// makeRoom drops the entry that was not used for longest.
func (n *norms) makeRoom() error {
	if len(n.kept) < n.most {
		return nil
	}
	var oldest *normEntry
	for _, e := range n.kept {
		if e.users == 0 && (oldest == nil || e.used < oldest.used) {
			oldest = e
		}
	}
	if oldest == nil {
		return &LimitError{fmt.Sprintf("%d normalisations are in use, the server keeps no more", n.most)}
	}
	delete(n.kept, oldest.id)
	return nil
}

func (n *norms) compute(ctx context.Context, e *normEntry, compute func(context.Context) (*samplers.Norm, error)) {
	defer e.cancel()
	defer close(e.ready)
	select {
	case n.busy <- struct{}{}:
		defer func() { <-n.busy }()
	case <-ctx.Done():
		e.err = ctx.Err()
		return
	}
	defer func() {
		if p := recover(); p != nil {
			e.err = fmt.Errorf("normalisation: panic: %v", p)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if e.err != nil && n.kept[e.id] == e {
			delete(n.kept, e.id) // the next one tries again
		}
		n.made++
	}()
	if e.norm, e.err = compute(ctx); e.err != nil && ctx.Err() == nil {
		e.err = fmt.Errorf("normalisation: %w", e.err)
	}
}

func (n *norms) leave(e *normEntry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e.users--
	select {
	case <-e.ready:
		return
	default:
	}
	if e.users == 0 {
		e.cancel()
		if n.kept[e.id] == e {
			delete(n.kept, e.id)
		}
	}
}

// close stops whatever is being computed and waits for it.
func (n *norms) close() {
	n.mu.Lock()
	for _, e := range n.kept {
		e.cancel()
	}
	n.mu.Unlock()
	n.run.Wait()
}

// counts says how many are kept, how many of those are not computed yet, and how many were.
func (n *norms) counts() (kept, pending int, made uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.kept {
		select {
		case <-e.ready:
		default:
			pending++
		}
	}
	return len(n.kept), pending, n.made
}
