package partition

import (
	"math"
	"math/rand/v2"
)

// Bisection.
const (
	bisectNodes = 120 // a graph of so many nodes is cut directly
	growTries   = 8   // seeds that halves are grown from
	fmPasses    = 8
	bisectTries = 6       // times that a small graph is cut
	triesMost   = 1 << 18 // nodes and entries of a small graph
)

// halves is a graph cut in two.
type halves struct {
	*level
	side   []int8
	weight [2]int64
	most   [2]int64
	cut    int64

	gain  []int64 // what moving a node takes off the cut
	queue [2]*queue
	moved []int32
	done  []bool // moved in this pass
}

func newHalves(l *level, most [2]int64) *halves {
	return &halves{
		level: l, most: most, side: make([]int8, l.n), gain: make([]int64, l.n), done: make([]bool, l.n),
		queue: [2]*queue{newQueue(l.n), newQueue(l.n)},
	}
}

// bisect cuts l such that side i weighs most[i] at most, if that can be done, with few edges between.
// Small graphs are cut several times: that costs little, and the cuts differ.
func (s *solver) bisect(l *level, most [2]int64, r *rand.Rand) []int8 {
	best := s.bisectOnce(l, most, r)
	if l.n <= bisectNodes || l.n+len(l.adj) > triesMost {
		return best.side
	}
	for range bisectTries - 1 {
		if next := s.bisectOnce(l, most, r); next.better(best) {
			best = next
		}
	}
	return best.side
}

// bisectOnce cuts l with coarser graphs of its own.
func (s *solver) bisectOnce(l *level, most [2]int64, r *rand.Rand) *halves {
	levels := []*level{l}
	for last := l; last.n > bisectNodes; {
		heaviest := max(1, int64(1.5*float64(l.total)/bisectNodes))
		next := last.coarsen(r, heaviest, 1)
		if next == nil {
			break
		}
		levels = append(levels, next)
		last = next
	}
	last := levels[len(levels)-1]
	h := grow(last, most, r)
	for i := len(levels) - 2; i >= 0 && s.ctx.Err() == nil; i-- {
		side := h.side
		h = newHalves(levels[i], most)
		for v, c := range levels[i].coarse {
			h.side[v] = side[c]
		}
		h.refine(r)
	}
	return h
}

// grow cuts a small graph: side 0 grows from a random node by the gain of its neighbours until
// it is heavy enough, and is refined. The best of some tries is the result.
func grow(l *level, most [2]int64, r *rand.Rand) *halves {
	best, h := newHalves(l, most), newHalves(l, most)
	for i := range growTries {
		h.growFrom(r)
		h.refine(r)
		if i == 0 || h.better(best) {
			h, best = best, h
		}
	}
	return best
}

// better reports whether h is less too heavy than other, or as much with a smaller cut.
func (h *halves) better(other *halves) bool {
	a, b := h.over(), other.over()
	return a < b || a == b && h.cut < other.cut
}

func (h *halves) growFrom(r *rand.Rand) {
	for v := range h.side {
		h.side[v] = 1
	}
	h.prepare()
	want := int64(float64(h.total) * float64(h.most[0]) / float64(h.most[0]+h.most[1]))
	q := h.queue[1]
	q.clear()
	for h.weight[0] < want {
		if q.len() == 0 {
			v := int32(r.IntN(h.n))
			for h.side[v] == 0 {
				v = (v + 1) % int32(h.n)
			}
			q.set(v, h.gain[v])
		}
		v, _ := q.top()
		q.remove(v)
		if w := h.nodeWeight(v); h.weight[0]+w > h.most[0] && h.weight[0] > 0 {
			if q.len() == 0 {
				return
			}
			continue
		}
		h.move(v)
		for _, u := range h.adj[h.xadj[v]:h.xadj[v+1]] {
			if h.side[u] == 1 {
				q.set(u, h.gain[u])
			}
		}
	}
	q.clear()
}

// prepare computes weights, gains and cut from the sides.
func (h *halves) prepare() {
	h.weight, h.cut = [2]int64{}, 0
	for v := range int32(h.n) {
		h.weight[h.side[v]] += h.nodeWeight(v)
		gain := int64(0)
		for e := h.xadj[v]; e < h.xadj[v+1]; e++ {
			if w := h.edgeWeight(e); h.side[h.adj[e]] == h.side[v] {
				gain -= w
			} else {
				gain += w
				h.cut += w
			}
		}
		h.gain[v] = gain
	}
	h.cut /= 2
}

// over returns by how much the sides are too heavy.
func (h *halves) over() int64 {
	return max(0, h.weight[0]-h.most[0]) + max(0, h.weight[1]-h.most[1])
}

// move puts v on the other side and corrects the gains of its neighbours.
func (h *halves) move(v int32) {
	from := h.side[v]
	w := h.nodeWeight(v)
	h.weight[from] -= w
	h.weight[1-from] += w
	h.side[v] = 1 - from
	h.cut -= h.gain[v]
	h.gain[v] = -h.gain[v]
	for e := h.xadj[v]; e < h.xadj[v+1]; e++ {
		if u := h.adj[e]; h.side[u] == from {
			h.gain[u] += 2 * h.edgeWeight(e)
		} else {
			h.gain[u] -= 2 * h.edgeWeight(e)
		}
	}
}

// refine lowers the cut, and what the sides are too heavy by first of all, by passes of
// Fiduccia and Mattheyses: every node moves once at most, the best one first even if that
// raises the cut, and the moves after the best state are taken back.
func (h *halves) refine(r *rand.Rand) {
	h.prepare()
	for range fmPasses {
		if !h.pass(r) {
			return
		}
	}
}

// pass reports whether it made things better.
func (h *halves) pass(r *rand.Rand) bool {
	h.moved = h.moved[:0]
	first := int32(r.IntN(h.n))
	for i := range int32(h.n) {
		v := first + i
		if v >= int32(h.n) || v < 0 {
			v -= int32(h.n)
		}
		// Inner nodes have nothing to win unless a side is too heavy.
		if h.gain[v] > -h.around(v) || h.weight[h.side[v]] > h.most[h.side[v]] {
			h.queue[h.side[v]].set(v, h.gain[v])
		}
	}
	startOver, startCut := h.over(), h.cut
	bestOver, bestCut, best := startOver, startCut, 0
	patience := min(max(h.n/100, 25), 150)
	for len(h.moved)-best <= patience {
		v := h.next()
		if v < 0 {
			break
		}
		h.queue[h.side[v]].remove(v)
		h.done[v] = true
		h.move(v)
		h.moved = append(h.moved, v)
		for _, u := range h.adj[h.xadj[v]:h.xadj[v+1]] {
			if !h.done[u] {
				h.queue[h.side[u]].set(u, h.gain[u])
			}
		}
		if over := h.over(); over < bestOver || over == bestOver && h.cut < bestCut {
			bestOver, bestCut, best = over, h.cut, len(h.moved)
		}
	}
	for _, v := range h.moved {
		h.done[v] = false
	}
	for i := len(h.moved) - 1; i >= best; i-- {
		h.move(h.moved[i])
	}
	h.queue[0].clear()
	h.queue[1].clear()
	return bestOver < startOver || bestCut < startCut
}

// around returns the weight of all edges at v.
func (h *halves) around(v int32) int64 {
	if h.ew == nil {
		return int64(h.degree(v))
	}
	sum := int64(0)
	for e := h.xadj[v]; e < h.xadj[v+1]; e++ {
		sum += int64(h.ew[e])
	}
	return sum
}

// next returns the node to move, -1 if there is none.
func (h *halves) next() int32 {
	for i := range 2 {
		if h.weight[i] > h.most[i] && h.queue[i].len() > 0 {
			v, _ := h.queue[i].top()
			return v
		}
	}
	for {
		best, bestGain := int32(-1), int64(math.MinInt64)
		from := 0
		for i := range 2 {
			if h.queue[i].len() == 0 {
				continue
			}
			if v, gain := h.queue[i].top(); gain > bestGain || gain == bestGain && h.weight[i] > h.weight[1-i] {
				best, bestGain, from = v, gain, i
			}
		}
		if best < 0 || h.weight[1-from]+h.nodeWeight(best) <= h.most[1-from] {
			return best
		}
		h.queue[from].remove(best) // it does not fit; it comes back when a neighbour moves
	}
}
