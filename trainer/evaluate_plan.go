package trainer

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Sizes of an evaluation by sums. Without a bound on memory they follow from shapes alone; they
// change no bit of the result.
const (
	sumBytes    = 32 << 20 // of columns that are summed at a time, so that their rows stay in a cache
	leastSum    = 64       // columns at a time, however many rows
	fewestSum   = 16       // the same, where memory is bounded
	tileEdges   = 1 << 20  // summed at a time
	fewestEdges = 1 << 16  // the same, where memory is bounded
	longRows    = 32       // edges of a node, on average, for which columns are copied so as to lie close
	longRow     = 2048     // products of few rows, if they are longer than that, are cut within the rows:
	longLeast   = 1536     // tiles are cut so as not to have so few
)

// MemoryError says that a bound on the memory of evaluation is too small.
type MemoryError struct {
	Bound, Least int64 // bytes
	Nodes        int
}

// Error says what would be enough.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("memory of evaluation (--eval_memory): evaluating this network on %d nodes takes at least %d MiB beside the data, more than the %d MiB it may take",
		e.Nodes, (e.Least+1<<20-1)>>20, e.Bound>>20)
}

// sumGroup is a layer that aggregates, or the first one, and the dense ones after it.
type sumGroup struct {
	first, end int
	head       nn.Separable // nil: the first layer is dense
	hops, dim  int
	chained    bool
	parts      int  // kept for all nodes, of 0…hops
	late       bool // its last aggregation is done tile by tile
}

// sumPlan is the way through a model whose aggregations are all separable.
type sumPlan struct {
	groups []sumGroup
	cols   int  // of the one matrix that all nodes have
	sums   int  // columns that need a second one to be summed in
	out    int  // of the output
	temps  int  // columns of all temporaries of a tile
	visits int  // rows handed out at a time
	least  int  // rows of a tile
	packed bool // columns lie close while they are summed: rows are read often

	sumTile // by shape, or smaller so as to stay below a bound
}

// sumTile says how much is worked on at a time.
type sumTile struct {
	rows  int
	chunk int // columns summed; 0: no matrix for it is needed
	edges int // summed
}

// planSums returns the plan of layers [0,upTo), or nil if some layer needs all rows of its
// input, or other entries of the adjacency.
func (e *Evaluator) planSums(m *nn.Sequential, upTo int) *sumPlan {
	p := &sumPlan{}
	for i := range upTo {
		l := m.Layer(i)
		if initial, ok := l.(nn.InitialReader); ok && initial.ReadsInitial() {
			return nil
		}
		if l.Hops() == 0 && i > 0 {
			p.groups[len(p.groups)-1].end++
			continue
		}
		g := sumGroup{first: i, end: i + 1, hops: l.Hops()}
		if g.hops > 0 {
			var ok bool
			if g.head, ok = l.(nn.Separable); !ok || nn.WeightingOf(l) != nn.Sampled {
				return nil
			}
			g.dim, g.chained = g.head.Parts()
		}
		p.groups = append(p.groups, g)
	}
	n := e.graph.NumNodes()
	p.packed = n > 0 && e.graph.NumEdges()/int64(n) >= longRows
	e.measure(p, m)
	if input, element := e.inputBytes(p), e.elementBytes(); p.packed && p.bound(e, e.left(), input, element) != nil {
		p.packed = false // that takes less
		e.measure(p, m)
	}
	return p
}

// measure finds the sizes of a plan.
func (e *Evaluator) measure(p *sumPlan, m *nn.Sequential) {
	widest, in := e.feats.Dim(), e.feats.Dim()
	p.cols, p.sums, p.temps = 0, 0, 0
	for i := range p.groups {
		g := &p.groups[i]
		g.parts = g.hops + 1
		if g.late = i == len(p.groups)-1 && (g.chained || !p.packed); g.late && g.chained {
			g.parts-- // the last sum is made in the tile
		}
		if i == 0 || g.head == nil {
			g.parts-- // the features are there
		}
		p.cols = max(p.cols, g.parts*g.dim)
		for l := g.first; l < g.end; l++ {
			if l == g.first && g.head != nil {
				in += (g.hops + 1) * g.dim
			}
			p.out = m.Layer(l).OutDim()
			p.temps = max(p.temps, in+2*p.out+2)
			widest, in = max(widest, p.out), p.out
		}
	}
	for i := range p.groups {
		if g := &p.groups[i]; p.sweeps(g) && p.spare(g) == 0 {
			p.sums = max(p.sums, g.dim)
		}
	}
	p.visits = e.tileRows(widest)
	p.least = tileLeast
	if widest > longRow {
		p.least = longLeast
	}
	if e.rowsAt > 0 {
		p.least = e.rowsAt
	}
	p.sumTile = sumTile{rows: max(p.visits, p.least), edges: tileEdges}
	if p.sums > 0 {
		p.chunk = min(p.sums, max(leastSum, sumBytes/max(1, 4*e.graph.NumNodes())/32*32))
	}
}

// sweeps reports whether sums of g's parts take the place of the parts.
func (p *sumPlan) sweeps(g *sumGroup) bool {
	return g.head != nil && !g.chained && (g.hops > 1 || !g.late)
}

// spare returns how many columns are free while g sums, up to as many as it can use.
func (p *sumPlan) spare(g *sumGroup) int {
	if free := min(p.cols-g.parts*g.dim, g.dim); !p.packed && free >= min(fewestSum, g.dim) {
		return free
	}
	return 0
}

// part returns the columns of part i of all nodes: the parts of a group are the last columns.
func (p *sumPlan) part(g *sumGroup, all tensor.Tensor, i int) tensor.Tensor {
	at := p.cols - g.parts*g.dim + (i-p.missing(g))*g.dim
	return all.ColRange(at, at+g.dim)
}

// missing returns how many of the first parts have no columns: of the first group part 0.
func (p *sumPlan) missing(g *sumGroup) int {
	if g == &p.groups[0] {
		return 1
	}
	return 0
}

// bytes returns what an evaluation takes at most beside the features where they lie in the
// memory of the device, for elements of that size. Scratch of the size of the weights counts as
// nothing.
func (p *sumPlan) bytes(e *Evaluator, input, element int64, t sumTile) int64 {
	n, rows := int64(e.graph.NumNodes()), int64(min(t.rows, e.graph.NumNodes()))
	all := n * int64(p.cols) * element
	entries := min(int64(t.edges)+e.mostDegree(), e.graph.NumEdges())
	adjacency := e.adjacencyBytes(min(entries, n), entries)
	tile := rows * int64(p.temps) * element
	if e.ahead != nil && !e.lends() {
		tile += rows * int64(e.feats.Dim()) * element // the next tile's features, while this one's are in use
	}
	if rows < int64(p.visits) {
		tile += min(n, int64(p.visits)) * int64(p.out) * element
	}
	tile += min(n, int64(p.visits)) * int64(5*p.out+16) // what scores are made of
	const rest = 64 << 10
	return input + all + adjacency + max(n*int64(t.chunk)*element, tile) + rest
}

// copied returns what copies of tiles take of a device that they are made to beside its work.
func (p *sumPlan) copied(e *Evaluator, t sumTile) int64 {
	n, rows := int64(e.graph.NumNodes()), int64(min(t.rows, e.graph.NumNodes()))
	entries := min(int64(t.edges)+e.mostDegree(), e.graph.NumEdges())
	bytes := e.adjacencyBytes(min(entries, n), entries)
	if !e.lends() {
		bytes += 2 * (rows*int64(e.feats.Dim())*e.elementBytes() + 1<<16)
	}
	return bytes
}

// bound makes the plan's tiles so small that it takes at most that many bytes; 0 is no bound.
func (p *sumPlan) bound(e *Evaluator, bytes, input, element int64) error {
	t := p.sumTile
	least := sumTile{rows: p.least, chunk: min(t.chunk, fewestSum), edges: fewestEdges}
	for _, shrink := range []func() bool{
		func() bool { t.rows = max(least.rows, t.rows/2); return t.rows > least.rows },
		func() bool { t.chunk = max(least.chunk, t.chunk/2); return t.chunk > least.chunk },
		func() bool { t.edges = max(least.edges, t.edges/2); return t.edges > least.edges },
	} {
		for more := true; more && bytes > 0 && (p.bytes(e, input, element, t) > bytes || !e.copiesFit(p.copied(e, t))); {
			more = shrink()
		}
	}
	need := p.bytes(e, input, element, t)
	if copied := p.copied(e, t); !e.copiesFit(copied) {
		need = max(need, bytes+copied)
	}
	if bytes > 0 && need > bytes {
		return &MemoryError{Bound: bytes, Least: need, Nodes: e.graph.NumNodes()}
	}
	p.sumTile = t
	return nil
}

// mostDegree returns the entries of the longest row.
func (e *Evaluator) mostDegree() int64 {
	if e.degree == 0 {
		for v := range int32(e.graph.NumNodes()) {
			e.degree = max(e.degree, int64(e.graph.Degree(v)))
		}
	}
	return e.degree
}

// adjacencyBytes returns what a part of the graph takes besides the graph.
func (e *Evaluator) adjacencyBytes(rows, entries int64) int64 {
	switch {
	case e.kept.on:
		return 0
	case e.ahead != nil:
		return 2 * (4*(rows+1) + 8*entries + 1<<16) // and the next part; what the host makes is not the device's
	}
	bytes := 8*(rows+1) + 4*entries // values and row starts, which the host makes
	if !e.b.Caps().SharedMemory {
		bytes += 8 * entries
	}
	return bytes
}

// Check returns the *MemoryError that Logits of all layers of m would end in, nil if there is none.
func (e *Evaluator) Check(m *Model) error {
	_, err := e.plan(m.Seq, m.Seq.Len())
	return err
}

// evalPlan is a way through a model. Where it has neither, layers see their whole input on the device.
type evalPlan struct {
	sums *sumPlan
	host *hostPlan
}

// plan returns the way through layers [0,upTo) of m within the bound.
func (e *Evaluator) plan(m *nn.Sequential, upTo int) (p evalPlan, err error) {
	var few *MemoryError
	if p.sums = e.planSums(m, upTo); p.sums != nil && !e.wholeInputs && !e.fromHost {
		err := p.sums.bound(e, e.left(), e.inputBytes(p.sums), e.elementBytes())
		if !errors.As(err, &few) || e.ahead == nil {
			return p, err
		}
	} else if least := e.wholeBytes(m, upTo); e.most > 0 && least > e.left() {
		few = &MemoryError{Bound: e.most, Least: least, Nodes: e.graph.NumNodes()}
	}
	if p.sums = nil; few == nil && !e.fromHost {
		return p, nil
	}
	if p.host = e.planHost(m, upTo); p.host == nil {
		return p, few
	}
	return p, nil
}

// wholeBytes returns about what a pass takes whose layers see their whole input; more than it may take if
// only its copies do.
func (e *Evaluator) wholeBytes(m *nn.Sequential, upTo int) int64 {
	in, hidden, widest := e.feats.Dim(), 0, e.feats.Dim()
	if _, resident := e.feats.(formats.Resident); resident && e.b.Caps().SharedMemory {
		in = 0
	}
	most := 0
	for first := 0; first < upTo; {
		l := m.Layer(first)
		out := l.OutDim()
		widest = max(widest, out)
		if p, ok := l.(nn.Projector); ok && l.Hops() == 1 {
			hidden = p.ProjDim()
			widest = max(widest, hidden)
		} else if hidden = 0; l.Hops() > 1 {
			hidden = 2 * out
		}
		for first++; first < upTo && m.Layer(first).Hops() == 0; first++ {
			out = m.Layer(first).OutDim()
			widest = max(widest, out)
		}
		if first == upTo {
			out = 0
		}
		most, in = max(most, in+hidden+out), out
	}
	const temporaries = 3 // of a tile, at least
	n := int64(e.graph.NumNodes())
	bytes := e.elementBytes() * (n*int64(most) + temporaries*min(n, int64(e.tileRows(widest)))*int64(widest))
	if e.ahead != nil {
		rows, entries := e.largestTile(m, upTo, e.tileRows(widest))
		copied := e.adjacencyBytes(rows, entries)
		if bytes += copied; !e.copiesFit(copied) {
			bytes = max(bytes, e.left()+copied)
		}
	}
	return bytes
}

// largestTile returns the rows of a tile and the most entries that one has.
func (e *Evaluator) largestTile(m *nn.Sequential, upTo, rows int) (most, entries int64) {
	n := e.graph.NumNodes()
	for i := range upTo {
		if m.Layer(i).Hops() > 1 {
			rows = n
		}
	}
	for lo := 0; lo < n; lo += rows {
		entries = max(entries, e.graph.Indptr[min(n, lo+rows)]-e.graph.Indptr[lo])
	}
	return int64(min(n, rows)), entries
}

// inputBytes returns what the features of all nodes take of the arena.
func (e *Evaluator) inputBytes(p *sumPlan) int64 {
	_, resident := e.feats.(formats.Resident)
	if e.lends() || resident && e.b.Caps().SharedMemory || !resident && !p.groups[0].chained {
		return 0
	}
	return int64(e.feats.Rows()) * int64(e.feats.Dim()) * e.elementBytes()
}

// elementBytes returns the bytes of what the backend computes with.
func (e *Evaluator) elementBytes() int64 {
	t := e.a.Alloc(tensor.F32, 0, 0)
	defer e.a.Release(t)
	return t.Type.Size()
}

// Bound makes evaluations take at most that many bytes beside the data: tiles get smaller, and
// fewer columns are summed at a time, which takes longer and changes no bit. 0 is no bound. Where the
// matrices of all nodes have no room on the device they lie in the memory of the host, and tiles get
// rows of all neighbours from there. What cannot be done in so little memory ends in a *MemoryError.
func (e *Evaluator) Bound(bytes int64) { e.most, e.boundedByDevice = bytes, false }

// BoundByDevice is Bound by what evaluations of m can have of a device whose memory is planned: what
// nobody has of it, and the bytes that the evaluator's arena has already. It takes the memory for the
// graph, where that is to stay there (Settle). Its error is a *tensor.OutOfMemoryError where that is too
// little.
func (e *Evaluator) BoundByDevice(m *Model, arena int64) error {
	p, ok := e.b.(tensor.Planner)
	if !ok {
		return nil
	}
	if err := e.reserveScratch(0); err != nil {
		return err
	}
	free, err := p.Free()
	if err != nil {
		return err
	}
	e.boundBy(arena, free)
	var few *MemoryError
	if err := e.Settle(m); !errors.As(err, &few) {
		return err
	}
	held, _ := p.HeldBytes()
	return &tensor.OutOfMemoryError{Device: e.b.Name(), Asked: few.Least, Held: held, Free: free, Total: e.b.Caps().TotalBytes, Err: few}
}
