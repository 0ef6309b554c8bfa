package trainer

import (
	"fmt"
	"sort"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// scoreFloats is how many logits the device writes before the host counts them, while it writes on.
const scoreFloats = 8 << 20

// scoresBehind is what a scorer needs to count tiles that the device computed a while ago: what it knows
// of all nodes lies on the device, and logits come in two pieces of memory that take turns.
type scoresBehind struct {
	q       tensor.Ahead
	from    tensor.HostAllocator // nil: the Go heap
	labels  tensor.Tensor        // of all nodes
	weights [3]tensor.Tensor     // N×1: 1 for the nodes of a split
	halves  [2]heldScores
	turn    int
}

// heldScores are tiles that were not counted yet.
type heldScores struct {
	floats hostFloats
	used   int
	tiles  []heldTile
	mark   tensor.Mark
}

// heldTile is a tile: in its memory are the losses of the splits, then the logits.
type heldTile struct {
	lo, cols, at, end int
	first, next       [3]int // of each split's nodes
}

func newScoresBehind(e *Evaluator) *scoresBehind {
	b := &scoresBehind{q: e.ahead}
	b.from, _ = e.b.(tensor.HostAllocator)
	e.frees = append(e.frees, func() {
		for i := range b.halves {
			b.halves[i].floats.free()
		}
	})
	return b
}

// forget drops what an evaluation that failed has left.
func (b *scoresBehind) forget() {
	for i := range b.halves {
		b.halves[i].used, b.halves[i].tiles = 0, b.halves[i].tiles[:0]
	}
}

// LendLabels makes the scorer read the labels of all nodes from l, which lies on the device and stays as
// it is, in place of a copy of its own. It is for the time before the first evaluation.
func (s *Scorer) LendLabels(l tensor.Tensor) {
	if s.behind != nil {
		s.behind.labels = l
	}
}

// Reserve takes the device's memory for what the scores need of all nodes, where they stay there.
func (s *Scorer) Reserve() error {
	b := s.behind
	if b == nil || b.weights[0].Present() {
		return nil
	}
	r, ok := s.eval.tables.(tensor.Reserver)
	if !ok {
		return nil
	}
	bytes := tableBytes(s.eval.graph.NumNodes())
	if l := &s.data.Labels; !b.labels.Present() {
		bytes += max(4*int64(len(l.Class)), int64(len(l.Multi)))
	}
	return r.Reserve(bytes)
}

// tableBytes is what scores need of all nodes on a device with their labels: 0, 1, 2, … and the splits.
func tableBytes(nodes int) int64 {
	const align = 256 // of every array, generously
	return 4*(int64(nodes)+1)*int64(len(splitNames)+1) + 6*align
}

// keepTables puts what the scores need of all nodes on the device, once.
func (s *Scorer) keepTables() error {
	b, n := s.behind, s.eval.graph.NumNodes()
	if b.weights[0].Present() {
		return nil
	}
	a, q, l := s.eval.tables, s.eval.q, &s.data.Labels
	if !b.labels.Present() && l.IsMulti() {
		b.labels = a.Alloc(tensor.U8, n, l.NumClasses)
		q.Upload(l.Multi, b.labels)
	} else if !b.labels.Present() {
		b.labels = a.Alloc(tensor.I32, n, 1)
		q.Upload(bytesOf(l.Class), b.labels)
	}
	var weights [3]tensor.Tensor
	for i, nodes := range s.splits {
		s.weight = grow(s.weight, n)
		clear(s.weight)
		for _, v := range nodes {
			s.weight[v] = 1
		}
		weights[i] = a.Alloc(tensor.F32, n, 1)
		q.Upload(bytesOf(s.weight), weights[i])
		if err := q.Sync(); err != nil { // the next split overwrites the host's array
			return fmt.Errorf("evaluate: %w", err)
		}
	}
	if err := a.Err(); err != nil {
		return fmt.Errorf("evaluate: labels and splits of all nodes: %w", err)
	}
	b.weights = weights
	return nil
}

// tileBehind queues what scores the nodes [lo,hi).
func (s *Scorer) tileBehind(c *nn.Context, lo, hi int, logits tensor.Tensor) error {
	b, k := s.behind, logits.Cols
	h, err := s.room(logits.Rows*k + len(s.splits))
	if err != nil {
		return err
	}
	t := heldTile{lo: lo, cols: k, at: h.used, end: h.used + logits.Rows*k + len(s.splits)}
	losses := c.Temp(tensor.F32, 1, len(s.splits))
	c.Q.Fill(0, losses)
	target := b.labels.RowRange(lo, hi)
	for i, nodes := range s.splits {
		t.first[i] = s.next[i]
		t.next[i] = t.first[i] + sort.Search(len(nodes)-t.first[i], func(k int) bool { return int(nodes[t.first[i]+k]) >= hi })
		if s.next[i] = t.next[i]; t.next[i] > t.first[i] {
			s.loss.Eval(c.Q, logits, target, b.weights[i].RowRange(lo, hi), losses.ColRange(i, i+1), tensor.Tensor{})
		}
	}
	from := h.floats.values[t.at:t.end]
	c.Q.Download(losses, bytesOf(from[:len(s.splits)]))
	c.Q.Download(logits, bytesOf(from[len(s.splits):]))
	h.used, h.tiles = t.end, append(h.tiles, t)
	c.EndLayer()
	return c.Q.Err()
}

// room returns memory for so many numbers more. Where one half is full the other is counted, which the
// device has written by then, or soon.
func (s *Scorer) room(floats int) (*heldScores, error) {
	b := s.behind
	h := &b.halves[b.turn]
	if len(h.tiles) > 0 && h.used+floats > len(h.floats.values) {
		h.mark = b.q.Mark()
		b.turn = 1 - b.turn
		h = &b.halves[b.turn]
		if len(h.tiles) > 0 {
			if err := b.q.Reached(h.mark); err != nil {
				return nil, fmt.Errorf("evaluate: %w", err)
			}
			s.countHalf(h)
		}
	}
	if len(h.tiles) == 0 {
		const spare = 256 // losses of some tiles
		all := s.eval.graph.NumNodes()*s.data.Labels.NumClasses + spare
		h.floats.take(b.from, max(floats, min(scoreFloats, all)))
	}
	return h, nil
}

// countHeld counts what the device has written; it is done.
func (s *Scorer) countHeld() {
	b := s.behind
	s.countHalf(&b.halves[1-b.turn])
	s.countHalf(&b.halves[b.turn])
}

// countHalf counts the tiles of a half and empties it.
func (s *Scorer) countHalf(h *heldScores) {
	for i := range h.tiles {
		t := &h.tiles[i]
		from := h.floats.values[t.at:t.end]
		s.host = from[len(s.splits):]
		for j, nodes := range s.splits {
			if t.next[j] > t.first[j] {
				s.losses[j] += float64(from[j])
				s.countAll(j, nodes[t.first[j]:t.next[j]], t.lo, t.cols)
			}
		}
	}
	s.host = nil
	h.used, h.tiles = 0, h.tiles[:0]
}
