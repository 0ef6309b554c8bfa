package trainer

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// nodeMatrix has a row for every node: on the device, in memory of the host, or wherever features are.
type nodeMatrix struct {
	cols   int
	device tensor.Tensor // if present
	feats  formats.FeatureStore
	values []float32
}

// hostRun is a pass over a model by a hostPlan.
type hostRun struct {
	*evalRun
	*hostPlan
	initial nodeMatrix
	drains  [2]drain // where the device writes to, in turn
	turn    int
	gather  [numOperands]hostOperand
}

// hostOperand is what rows are gathered in, for one operand of a tile.
type hostOperand struct {
	ids  []int32
	rows []float32
}

// Operands of a tile.
const (
	operandSources = iota
	operandSelf
	operandInitial
	numOperands
)

// operandSlots are those of an operand's rows and of their numbers.
var operandSlots = [numOperands][2]int{{slotFeatures, slotNodes}, {slotGiven, slotClass}, {slotOnes, slotMulti}}

// drain is memory of the host that the device writes rows to while the host goes on.
type drain struct {
	from hostFloats
	to   []float32 // where they belong; nil: nothing is on its way
	mark tensor.Mark
}

// hosted runs the groups of the plan.
func (r *evalRun) hosted(p *hostPlan, upTo int, visit Visit) error {
	h := &hostRun{evalRun: r, hostPlan: p}
	defer func() {
		for i := range h.drains {
			if h.drains[i].to != nil {
				_ = r.q.Sync() // the device still writes there
			}
			h.drains[i].from.free()
		}
	}()
	if res, ok := r.edges.copies.(tensor.Reserver); ok {
		if err := res.Reserve(p.set); err != nil {
			return err
		}
	}
	x, err := h.features()
	if err != nil {
		return err
	}
	for i := range p.groups {
		g := &p.groups[i]
		out := nodeMatrix{cols: g.out}
		if g.end < upTo {
			h.alloc(&out)
		}
		if err := h.group(g, x, out, visit); err != nil {
			return err
		}
		if x.device.ID != h.initial.device.ID {
			h.release(x)
		}
		x = out
		if g.keeps {
			h.initial = x
		}
	}
	h.release(h.initial)
	return nil
}

// features returns the matrix that the first layer reads.
func (h *hostRun) features() (m nodeMatrix, err error) {
	m = nodeMatrix{cols: h.feats.Dim(), feats: h.feats}
	if h.lent.Present() {
		m.device = h.lent
		return m, nil
	}
	if m.device, err = h.halves(); err != nil || m.device.Present() {
		return m, err
	}
	if _, ok := h.feats.(formats.Resident); ok && h.b.Caps().SharedMemory {
		m.device, _, err = h.input()
	}
	return m, err
}

// alloc makes room for all rows: in memory of the host, or of the device where that is the same.
func (h *hostRun) alloc(m *nodeMatrix) {
	n := h.graph.NumNodes()
	if h.b.Caps().SharedMemory {
		m.device = h.a.Alloc(tensor.F32, n, m.cols)
		return
	}
	m.values = make([]float32, n*m.cols)
}

func (h *hostRun) release(m nodeMatrix) {
	if m.device.Present() {
		h.a.Release(m.device) // not what is lent
	}
}

// group runs layers [first,end) on x and writes the result to out, or hands it out.
func (h *hostRun) group(g *hostGroup, x, out nodeMatrix, visit Visit) error {
	head := h.seq.Layer(g.first)
	h.c.Layer, h.weighting = g.first, nn.WeightingOf(head)
	src := x
	if g.proj > 0 {
		src = nodeMatrix{cols: g.proj}
		h.alloc(&src)
		if err := h.project(head.(nn.Projector), x, src); err != nil {
			return err
		}
		defer h.release(src)
	}
	lo := 0
	for _, hi := range h.ends[g.hops] {
		if err := h.tileOfGroup(g, lo, hi, x, src, out, visit); err != nil {
			return err
		}
		lo = hi
	}
	return h.landAll()
}

// project writes the projections of all rows of x to p.
func (h *hostRun) project(l nn.Projector, x, p nodeMatrix) error {
	lo := 0
	for _, hi := range h.ends[0] {
		in, err := h.rowRange(x, operandSelf, lo, hi)
		if err != nil {
			return err
		}
		h.ready()
		y := h.a.Alloc(tensor.F32, hi-lo, p.cols)
		l.Project(h.c, in, y)
		h.c.EndLayer()
		h.a.Release(in)
		if err := h.store(y, lo, hi, p); err != nil {
			return err
		}
		h.a.Release(y)
		if err := h.check(); err != nil {
			return err
		}
		lo = hi
	}
	return h.landAll()
}

// tileOfGroup computes rows [lo,hi) of a group.
func (h *hostRun) tileOfGroup(g *hostGroup, lo, hi int, x, src, out nodeMatrix, visit Visit) error {
	y, err := h.head(g, lo, hi, x, src)
	if err != nil {
		return err
	}
	for i := g.first + 1; i < g.end; i++ {
		next := h.dense(i, y)
		h.a.Release(y)
		y = next
	}
	if g.end == h.last() {
		err = h.visit(visit, lo, hi, y)
	} else {
		err = h.store(y, lo, hi, out)
	}
	h.a.Release(y)
	if err != nil {
		return err
	}
	return h.check()
}

// last returns the end of the last group.
func (h *hostRun) last() int { return h.groups[len(h.groups)-1].end }

// head computes rows [lo,hi) of a group's first layer.
func (h *hostRun) head(g *hostGroup, lo, hi int, x, src nodeMatrix) (y tensor.Tensor, err error) {
	own := hi - lo
	h.halo.of(h.graph, lo, hi, g.hops)
	if g.hops > 0 {
		rows := own
		if g.hops > 1 {
			rows = len(h.halo.nodes)
		}
		h.haloTile(&h.halo, own, rows)
	}
	in, err := h.rowsOf(src, operandSources, h.halo.nodes)
	if err != nil {
		return y, err
	}
	defer h.a.Release(in)
	if g.initial > 0 {
		if h.c.Initial, err = h.rowsOf(h.initial, operandInitial, h.halo.nodes); err != nil {
			return y, err
		}
		defer func() {
			h.a.Release(h.c.Initial)
			h.c.Initial = tensor.Tensor{}
		}()
	}
	h.c.Layer = g.first
	head := h.seq.Layer(g.first)
	switch {
	case g.proj > 0:
		self, err := h.rowRange(x, operandSelf, lo, hi)
		if err != nil {
			return y, err
		}
		h.ready()
		y = head.(nn.Projector).ForwardProjected(h.c, &h.tile, self, in)
		h.c.EndLayer()
		h.a.Release(self)
		return y, nil
	case g.hops == 0:
		h.ready()
		return h.dense(g.first, in), nil
	case g.hops == 1:
		h.ready()
		y = head.Forward(h.c, &h.tile, in)
	default:
		h.ready()
		y = head.Forward(h.c, nn.Local{A: &h.csr}, in)
	}
	h.c.EndLayer()
	return y.RowRange(0, own), nil
}

// rowRange returns rows [lo,hi) of m for an operand; the caller releases them.
func (h *hostRun) rowRange(m nodeMatrix, operand, lo, hi int) (tensor.Tensor, error) {
	if m.device.Present() && m.device.Type != tensor.F16 {
		h.a.Retain(m.device)
		return m.device.RowRange(lo, hi), nil
	}
	o := &h.gather[operand]
	o.ids = grow(o.ids, hi-lo)
	for i := range o.ids {
		o.ids[i] = int32(lo + i)
	}
	return h.rowsOf(m, operand, o.ids)
}

// rowsOf returns those rows of m for an operand; the caller releases them.
func (h *hostRun) rowsOf(m nodeMatrix, operand int, ids []int32) (tensor.Tensor, error) {
	o, slots := &h.gather[operand], operandSlots[operand]
	switch {
	case m.device.Present():
		t := h.a.Alloc(tensor.F32, len(ids), m.cols)
		at := h.ints(slots[1], ids)
		h.ready()
		h.q.GatherRows(m.device, at, tensor.Drop{}, t)
		return t, nil
	case m.feats != nil:
		o.rows = grow(o.rows, len(ids)*m.cols)
		if err := m.feats.Gather(o.rows, ids); err != nil {
			return tensor.Tensor{}, fmt.Errorf("features of %d nodes: %w", len(ids), err)
		}
	default:
		o.rows = grow(o.rows, len(ids)*m.cols)
		gatherRows(o.rows, m.values, m.cols, ids)
	}
	if h.ahead != nil {
		return h.edges.put(tensor.F32, len(ids), m.cols, bytesOf(o.rows)), h.q.Err()
	}
	t := h.place.put(h.a, h.q, slots[0], tensor.F32, len(ids), m.cols, bytesOf(o.rows))
	h.a.Retain(t) // the other reference is that of what was placed
	return t, nil
}

// gatherRows copies rows, on all cores where there are many.
func gatherRows(dst, src []float32, cols int, ids []int32) {
	parts := min(runtime.GOMAXPROCS(0), 1+len(dst)/manyEntries)
	part := func(lo, hi int) {
		for i, v := range ids[lo:hi] {
			copy(dst[(lo+i)*cols:(lo+i+1)*cols], src[int(v)*cols:(int(v)+1)*cols])
		}
	}
	var all sync.WaitGroup
	for i := range parts - 1 {
		all.Go(func() { part(len(ids)*i/parts, len(ids)*(i+1)/parts) })
	}
	part(len(ids)*(parts-1)/parts, len(ids))
	all.Wait()
}

// store writes y to rows [lo,hi) of m; those of the host have them after landAll.
func (h *hostRun) store(y tensor.Tensor, lo, hi int, m nodeMatrix) error {
	if m.device.Present() {
		h.q.Axpby(1, y, 0, m.device.RowRange(lo, hi))
		return nil
	}
	to := m.values[lo*m.cols : hi*m.cols]
	if h.ahead == nil {
		h.q.Download(y, bytesOf(to))
		return nil
	}
	d := &h.drains[h.turn]
	h.turn = 1 - h.turn
	if err := h.land(d); err != nil {
		return err
	}
	from, _ := h.b.(tensor.HostAllocator)
	h.q.Download(y, bytesOf(d.from.take(from, len(to))))
	d.to, d.mark = to, h.ahead.Mark()
	return nil
}

// land waits for rows that are on their way and puts them where they belong.
func (h *hostRun) land(d *drain) error {
	if d.to == nil {
		return nil
	}
	if err := h.ahead.Reached(d.mark); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	copy(d.to, d.from.values)
	d.to = nil
	return nil
}

func (h *hostRun) landAll() error {
	for range h.drains {
		if err := h.land(&h.drains[h.turn]); err != nil {
			return err
		}
		h.turn = 1 - h.turn
	}
	return nil
}
