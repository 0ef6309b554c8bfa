package trainer

import (
	"sort"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// sumRun is a pass over a model whose aggregations are separable: one matrix holds what the
// running group sums for all nodes, and each group writes what the next one sums into the rows
// that it has done with.
type sumRun struct {
	*evalRun
	*sumPlan
	x     tensor.Tensor // features of all nodes; absent: fetched tile by tile
	all   tensor.Tensor
	parts []tensor.Tensor
}

// sums runs all groups of the plan.
func (r *evalRun) sums(p *sumPlan, visit Visit) error {
	s := &sumRun{evalRun: r, sumPlan: p}
	var owned bool
	var err error
	_, resident := r.feats.(formats.Resident)
	if resident || r.lends() || p.groups[0].chained {
		if s.x, owned, err = r.input(); err != nil {
			return err
		}
	}
	if p.cols > 0 {
		s.all = r.a.Alloc(tensor.F32, r.graph.NumNodes(), p.cols)
		defer r.a.Release(s.all)
	}
	for i := range p.groups {
		g := &p.groups[i]
		r.c.Layer = g.first
		r.weighting = nn.Sampled
		if err := s.sweep(g); err != nil {
			return err
		}
		var next *sumGroup
		if i < len(p.groups)-1 {
			next = &p.groups[i+1]
		}
		if err := s.group(g, next, visit); err != nil {
			return err
		}
		if i == 0 && owned {
			r.a.Release(s.x)
		}
	}
	return nil
}

// sweep sums all parts of g whose sums must be there before its tiles.
func (s *sumRun) sweep(g *sumGroup) error {
	switch {
	case g.head == nil:
		return nil
	case g.chained:
		for i := 1; i <= g.hops; i++ {
			if i == g.hops && g.late {
				break
			}
			if err := s.sum(s.chain(g, i-1), 0, s.graph.NumNodes(), s.part(g, s.all, i)); err != nil {
				return err
			}
		}
		return nil
	}
	for i := 1; i <= g.hops; i++ {
		sweeps := i
		if g.late {
			sweeps--
		}
		if err := s.sweepPart(g, i, sweeps); err != nil {
			return err
		}
	}
	return nil
}

// chain returns part i of a chained group.
func (s *sumRun) chain(g *sumGroup, i int) tensor.Tensor {
	if i < s.missing(g) {
		return s.x
	}
	return s.part(g, s.all, i)
}

// sweepPart sums part i as often as said, some columns at a time.
func (s *sumRun) sweepPart(g *sumGroup, i, sweeps int) error {
	part, first := s.part(g, s.all, i), s.missing(g) > 0
	if first {
		// All columns, and not those of each sweep: wide products are faster, and rows of the features
		// are read once.
		if err := s.project(g, i, part); err != nil {
			return err
		}
	}
	if sweeps == 0 {
		return nil
	}
	width := s.spare(g)
	tmp := s.all.ColRange(0, width)
	if width == 0 {
		width = min(s.chunk, g.dim)
		tmp = s.a.Alloc(tensor.F32, s.graph.NumNodes(), width)
		defer s.a.Release(tmp)
	}
	for lo := 0; lo < g.dim; lo += width {
		hi := min(g.dim, lo+width)
		from, to := tmp.ColRange(0, hi-lo), part.ColRange(lo, hi)
		for range sweeps {
			s.q.Axpby(1, to, 0, from)
			if err := s.sum(from, 0, s.graph.NumNodes(), to); err != nil {
				return err
			}
		}
	}
	return nil
}

// project writes part i of the features to p.
func (s *sumRun) project(g *sumGroup, i int, p tensor.Tensor) error {
	return s.rowTiles(0, s.graph.NumNodes(), s.sumTile.rows, func(a, b int) error {
		x, owned, err := s.rows(s.x, a, b)
		if err != nil {
			return err
		}
		g.head.Part(s.c, i, 0, g.dim, x, p.RowRange(a, b))
		s.c.EndLayer()
		if owned {
			s.a.Release(x)
		}
		return s.check()
	})
}

// sum writes rows [lo,hi) of A from to to.
func (s *sumRun) sum(from tensor.Tensor, lo, hi int, to tensor.Tensor) error {
	for a := lo; a < hi; {
		b := hi
		if !s.kept.there {
			b = upToEdges(s.graph, a, hi, s.sumTile.edges)
		}
		if err := s.rowTile(a, b); err != nil {
			return err
		}
		nn.Aggregate(s.c, &s.tile, from, to.RowRange(a-lo, b-lo))
		if err := s.check(); err != nil {
			return err
		}
		a = b
	}
	return nil
}

// upToEdges returns how far rows of g from lo on go, at most to hi and at least one, before they have
// more than that many edges.
func upToEdges(g *formats.Graph, lo, hi, edges int) int {
	rows := g.Indptr[lo+1 : hi+1]
	most := g.Indptr[lo] + int64(edges)
	return lo + max(1, sort.Search(len(rows), func(i int) bool { return rows[i] > most }))
}

// rowTiles calls f for [lo,hi) in parts of nearly equal size, of at most that many rows.
func (s *sumRun) rowTiles(lo, hi, rows int, f func(lo, hi int) error) error {
	parts := (hi - lo + rows - 1) / max(1, rows)
	for i := range parts {
		if err := f(lo+(hi-lo)*i/parts, lo+(hi-lo)*(i+1)/parts); err != nil {
			return err
		}
	}
	return nil
}

// group goes over all rows, tile by tile: what the next group sums is written to its place, and
// the output of the last one handed out.
func (s *sumRun) group(g, next *sumGroup, visit Visit) error {
	n := s.graph.NumNodes()
	if next != nil {
		return s.rowTiles(0, n, s.sumTile.rows, func(lo, hi int) error {
			y, err := s.output(g, lo, hi)
			if err != nil {
				return err
			}
			s.c.Layer = next.first
			for i := range min(next.parts, next.hops+1) {
				p := s.part(next, s.all, i).RowRange(lo, hi)
				switch {
				case !next.chained:
					next.head.Part(s.c, i, 0, next.dim, y, p)
				case i == 0:
					s.q.Axpby(1, y, 0, p)
				}
			}
			s.c.EndLayer()
			s.a.Release(y)
			return s.check()
		})
	}
	for lo := 0; lo < n; lo += s.visits {
		if err := s.handOut(g, lo, min(n, lo+s.visits), visit); err != nil {
			return err
		}
	}
	return nil
}

// handOut delivers rows [lo,hi), made in one tile or in several.
func (s *sumRun) handOut(g *sumGroup, lo, hi int, visit Visit) error {
	var out tensor.Tensor
	err := s.rowTiles(lo, hi, s.sumTile.rows, func(a, b int) error {
		y, err := s.output(g, a, b)
		if err != nil {
			return err
		}
		if a == lo && b == hi {
			out = y
			return nil
		}
		if !out.Present() {
			out = s.a.Alloc(tensor.F32, hi-lo, y.Cols)
		}
		s.q.Axpby(1, y, 0, out.RowRange(a-lo, b-lo))
		s.a.Release(y)
		return s.check()
	})
	if err == nil {
		err = s.visit(visit, lo, hi, out)
	}
	if out.Present() {
		s.a.Release(out)
	}
	if err == nil {
		err = s.check()
	}
	return err
}

// output returns rows [lo,hi) of the output of a group.
func (s *sumRun) output(g *sumGroup, lo, hi int) (y tensor.Tensor, err error) {
	s.c.Layer = g.first
	var x tensor.Tensor
	var owned bool
	if g == &s.groups[0] {
		if x, owned, err = s.rows(s.x, lo, hi); err != nil {
			return x, err
		}
	}
	if g.head == nil {
		y = s.dense(g.first, x)
	} else {
		if err := s.gather(g, x, lo, hi); err != nil {
			return y, err
		}
		y = g.head.Join(s.c, s.parts)
		s.c.EndLayer()
	}
	if owned {
		s.a.Release(x)
	}
	for i := g.first + 1; i < g.end; i++ {
		next := s.dense(i, y)
		s.a.Release(y)
		y = next
	}
	return y, nil
}

// gather makes s.parts the sums of rows [lo,hi), x being their features in the first group.
func (s *sumRun) gather(g *sumGroup, x tensor.Tensor, lo, hi int) error {
	s.parts = s.parts[:0]
	for i := range g.hops + 1 {
		var t tensor.Tensor
		switch {
		case i < s.missing(g) && g.chained:
			t = x
		case i < s.missing(g):
			t = s.c.Temp(tensor.F32, hi-lo, g.dim)
			g.head.Part(s.c, i, 0, g.dim, x, t)
		case g.late && i > 0 && (!g.chained || i == g.hops):
			var from tensor.Tensor
			if g.chained {
				from = s.chain(g, i-1)
			} else {
				from = s.part(g, s.all, i)
			}
			t = s.c.Temp(tensor.F32, hi-lo, g.dim)
			if err := s.sum(from, lo, hi, t); err != nil {
				return err
			}
		default:
			t = s.part(g, s.all, i).RowRange(lo, hi)
		}
		s.parts = append(s.parts, t)
	}
	return nil
}
