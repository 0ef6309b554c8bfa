package trainer

import (
	"errors"
	"math"
	"slices"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// weightings is how many kinds there are.
const weightings = int(nn.Symmetric) + 1

// residence is what a device keeps of the graph from one evaluation to the next. A tile is then a range
// of the rows, for which nothing is uploaded and nobody waits.
type residence struct {
	arena   tensor.Arena // nil: the device has no memory of its own, or nothing is copied beside its work
	settled bool         // it was decided whether the graph is kept
	on      bool
	there   bool // it was uploaded
	bytes   int64
	weighs  [weightings]bool

	indptr, indices, loops tensor.Tensor
	values                 [weightings]tensor.Tensor
}

// tileCopies brings arrays of one tile after another to the device, beside its work.
type tileCopies struct {
	copies tensor.Copies // nil: the queue does that
	open   bool          // a set has begun
}

func (c *tileCopies) put(dt tensor.DType, rows, cols int, src []byte) tensor.Tensor {
	if !c.open {
		c.copies.Begin()
		c.open = true
	}
	return c.copies.Put(dt, rows, cols, src)
}

// end says that the queue was given everything that uses what was put.
func (c *tileCopies) end() {
	if c.open {
		c.copies.End()
		c.open = false
	}
}

// keepers makes what keeps and copies parts of the graph, on a device that can be ahead of the host.
func (e *Evaluator) keepers() error {
	_, ok := e.b.(tensor.Copier)
	ahead, can := e.q.(tensor.Ahead)
	if !ok || !can {
		return nil
	}
	e.ahead = ahead
	if err := e.newCopies(); err != nil {
		return err
	}
	for _, a := range []*tensor.Arena{&e.kept.arena, &e.tables} {
		var err error
		if *a, err = e.b.NewArena(); err != nil {
			return err
		}
	}
	return nil
}

// newCopies makes the copies of tiles, which have no memory yet.
func (e *Evaluator) newCopies() error {
	for _, c := range []*tileCopies{&e.edges, &e.inputs} {
		made, err := e.b.(tensor.Copier).NewCopies(e.q)
		if err != nil {
			return err
		}
		c.copies = made
	}
	return nil
}

// closeKeepers frees all that.
func (e *Evaluator) closeKeepers() error {
	var errs []error
	for _, c := range []*tileCopies{&e.edges, &e.inputs} {
		if c.copies != nil {
			errs = append(errs, c.copies.Close())
		}
	}
	for _, a := range []tensor.Arena{e.kept.arena, e.tables} {
		if a != nil {
			errs = append(errs, a.Close())
		}
	}
	for _, free := range e.frees {
		free()
	}
	return errors.Join(errs...)
}

// weighingsOf returns the weightings that layers of m aggregate over.
func weighingsOf(m *nn.Sequential) (w [weightings]bool) {
	for i := range m.Len() {
		if l := m.Layer(i); l.Hops() > 0 {
			w[nn.WeightingOf(l)] = true
		}
	}
	return w
}

// graphBytes returns what a graph in such weightings takes of a device, 0 if it cannot be there as one.
func graphBytes(weighs [weightings]bool, nodes int, edges int64) int64 {
	const align = 256 // of every array, generously
	if edges > math.MaxInt32 || !slices.Contains(weighs[:], true) {
		return 0
	}
	bytes := 4*(int64(nodes)+1) + 4*edges + 2*align
	for _, w := range weighs {
		if w {
			bytes += 4*edges + align
		}
	}
	if weighs[nn.Symmetric] {
		bytes += 4*int64(nodes) + align
	}
	return bytes
}

// Settle decides whether the graph stays on the device for evaluations of m: where it fits beside them,
// within the bound on their memory. It takes the memory for it now, and returns the error of Check. The
// decision holds until Evict. Elsewhere than on a device that copies are made to beside its work it is
// Check.
func (e *Evaluator) Settle(m *Model) error {
	k := &e.kept
	if k.arena == nil {
		return e.Check(m)
	}
	weighs := weighingsOf(m.Seq)
	if k.settled && k.weighs == weighs && (!k.on || e.keeps(m)) {
		return e.Check(m)
	}
	if k.on {
		if _, err := e.Evict(); err != nil {
			return err
		}
	}
	k.settled, k.weighs, k.bytes = true, weighs, graphBytes(weighs, e.graph.NumNodes(), e.graph.NumEdges())
	if k.bytes > 0 && e.keeps(m) {
		if err := e.take(k.bytes); err != nil {
			return err
		}
	}
	return e.Check(m)
}

// keeps reports whether evaluations of m have enough memory beside the graph.
func (e *Evaluator) keeps(m *Model) bool {
	k := &e.kept
	before := k.on
	defer func() { k.on = before }()
	if k.on = true; e.most > 0 && e.left() <= 0 || e.boundedByDevice && k.bytes > e.room {
		return false
	}
	if p, ok := e.b.(tensor.Planner); ok && e.most == 0 && !before {
		// Nobody has said what evaluations may take.
		if free, err := p.Free(); err != nil || k.bytes > free/2 {
			return false
		}
	}
	plan, err := e.plan(m.Seq, m.Seq.Len())
	return err == nil && plan.host == nil
}

// take takes memory for the graph; where there is too little the graph is not kept.
func (e *Evaluator) take(bytes int64) error {
	k := &e.kept
	if r, ok := k.arena.(tensor.Reserver); ok {
		var few *tensor.OutOfMemoryError
		switch err := r.Reserve(bytes); {
		case errors.As(err, &few):
			return nil
		case err != nil:
			return err
		}
	}
	k.on = true
	return nil
}

// Evict gives the memory of the graph, and of tiles' copies, back and reports whether there was any; no
// evaluation may be under way. Settle decides anew. The error is that of a device that fails.
func (e *Evaluator) Evict() (had bool, err error) {
	k := &e.kept
	if k.arena == nil {
		return false, nil
	}
	had = k.on
	var errs []error
	for _, c := range []*tileCopies{&e.edges, &e.inputs} {
		r, ok := c.copies.(tensor.Reserver)
		if had = had || ok && r.Taken() > 0; c.copies != nil {
			errs = append(errs, c.copies.Close())
			*c = tileCopies{}
		}
	}
	errs = append(errs, k.arena.Close(), e.newCopies())
	*k = residence{arena: k.arena}
	return had, errors.Join(errs...)
}

// left returns the bytes that evaluations may take beside the graph; 0 is no bound.
func (e *Evaluator) left() int64 {
	if e.most > 0 && e.kept.on {
		return e.most - e.kept.bytes
	}
	return e.most
}

// settled prepares an evaluation of layers [0,upTo) of m.
func (r *evalRun) settled(m *Model) error {
	k := &r.kept
	if k.arena == nil {
		return nil
	}
	if !k.settled || k.weighs != weighingsOf(m.Seq) {
		if err := r.Settle(m); err != nil {
			return err
		}
	}
	if !k.on || k.there {
		return nil
	}
	err := r.fill()
	if k.there = err == nil; !k.there {
		k.arena.Reset() // the next evaluation fills it
	}
	return err
}

// fill uploads the graph.
func (r *evalRun) fill() error {
	k, g, n := &r.kept, r.graph, r.graph.NumNodes()
	m := int(g.NumEdges())
	k.indptr, k.indices = k.arena.Alloc(tensor.I32, n+1, 1), k.arena.Alloc(tensor.I32, m, 1)
	for w, wanted := range k.weighs {
		if wanted {
			k.values[w] = k.arena.Alloc(tensor.F32, m, 1)
		}
	}
	if k.weighs[nn.Symmetric] {
		k.loops = k.arena.Alloc(tensor.F32, n, 1)
	}
	if err := k.arena.Err(); err != nil {
		return err
	}
	r.indptr = grow(r.indptr, n+1)
	for i, at := range g.Indptr[:n+1] {
		r.indptr[i] = int32(at)
	}
	r.q.Upload(bytesOf(r.indptr), k.indptr)
	r.q.Upload(bytesOf(g.Indices[:m]), k.indices)
	for w, wanted := range k.weighs {
		if !wanted {
			continue
		}
		r.weighting = nn.Weighting(w)
		if err := r.fillValues(k.values[w]); err != nil {
			return err
		}
	}
	return r.q.Sync()
}

// fillValues uploads the entries in the running weighting, part by part.
func (r *evalRun) fillValues(to tensor.Tensor) error {
	const part = 8 << 20 // entries
	g, n := r.graph, r.graph.NumNodes()
	for lo := 0; lo < n; {
		hi := upToEdges(g, lo, n, part)
		base, end := g.Indptr[lo], g.Indptr[hi]
		r.values = grow(r.values, int(end-base))
		r.weighAll(g, lo, hi, base)
		r.q.Upload(bytesOf(r.values), to.RowRange(int(base), int(end)))
		if r.weighting == nn.Symmetric {
			r.q.Upload(bytesOf(r.loops), r.kept.loops.RowRange(lo, hi))
		}
		if err := r.check(); err != nil {
			return err
		}
		if err := r.q.Sync(); err != nil { // the next part overwrites the host's arrays
			return err
		}
		lo = hi
	}
	return nil
}

// keptTile makes r.tile rows [lo,hi) of the graph that is kept.
func (r *evalRun) keptTile(lo, hi int) {
	k, n := &r.kept, r.graph.NumNodes()
	r.csr = tensor.CSR{Rows: hi - lo, Cols: n, Indptr: k.indptr.RowRange(lo, hi+1), Indices: k.indices, Values: k.values[r.weighting]}
	r.tile = nn.RowTile{A: &r.csr, Lo: lo, Hi: hi, Src: n, Weighting: r.weighting}
	if r.weighting == nn.Symmetric {
		r.tile.Loops = k.loops.RowRange(lo, hi)
	}
}

// numbers returns 0, 1, 2, … of at least n on the device, where tables are kept; the absent tensor if
// there is no memory for them.
func (e *Evaluator) numbers(n int) tensor.Tensor {
	if n = max(n, e.graph.NumNodes()+1); e.iota.Present() && e.iota.Rows >= n {
		return e.iota
	}
	e.ids = grow(e.ids, n)
	for i := range e.ids {
		e.ids[i] = int32(i)
	}
	if e.iota.Present() {
		e.tables.Release(e.iota)
	}
	e.iota = e.tables.Alloc(tensor.I32, n, 1)
	if e.tables.Err() == nil {
		e.q.Upload(bytesOf(e.ids), e.iota)
		if e.q.Sync() == nil { // others write to the host's array
			return e.iota
		}
	}
	e.iota = tensor.Tensor{}
	return e.iota
}

// boundBy bounds evaluations by what they may take of a device that has so many bytes free, and lends
// them those of an arena. The graph gets none of these; what it has, has been taken.
func (e *Evaluator) boundBy(arena, free int64) {
	room := free - free/16 // the rest is for what operations need beside tensors
	if e.kept.on {
		room += e.kept.bytes
	}
	e.Bound(max(arena+room, 1))
	e.room, e.boundedByDevice = room, true
}

// reserveScratch takes what operations need beside tensors: so many bytes, and what dense products do.
func (e *Evaluator) reserveScratch(bytes int64) error {
	if r, ok := e.q.(tensor.Reserver); ok {
		return r.Reserve(bytes)
	}
	return nil
}

// copiesFit reports whether tiles' copies of that many bytes have room: tensors may lie in what is lent,
// copies and the graph may not.
func (e *Evaluator) copiesFit(bytes int64) bool {
	room := e.room
	if e.kept.on {
		room -= e.kept.bytes
	}
	return e.ahead == nil || !e.boundedByDevice || bytes <= room
}
