package partition

import (
	"context"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"

	"github.com/saint-gnn/saint/internal/rng"
)

// solver holds what all steps of one partition share.
type solver struct {
	ctx       context.Context
	seed      uint64
	parts     int
	imbalance float64
	workers   chan struct{} // one place for each goroutine
	threads   int
	progress  func(done, total int64)
	total     int64
}

// Random streams.
const (
	streamCoarsen = iota
	streamBisect
)

func (s *solver) stream(stage int, index uint64) *rand.Rand {
	return rng.New(s.seed, rng.Partition, stage, index)
}

func (s *solver) tell(done int64) {
	if s.progress != nil {
		s.progress(min(done, s.total), s.total)
	}
}

// kway fills part.
func (s *solver) kway(l *level, part []int32) error {
	size := func(l *level) int64 { return int64(len(l.adj) + l.n) }
	// Many nodes a part are left: cutting them by bisection is cheap, and better than refining.
	small := max(l.n/(40*max(1, bits.Len(uint(s.parts))-1)), 60*s.parts, 8*bisectNodes)
	heaviest := max(1, int64(1.5*float64(l.total)/float64(small)))
	levels := []*level{l}
	done := int64(0)
	for last := l; last.n > small; {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		next := last.coarsen(s.stream(streamCoarsen, uint64(len(levels))), heaviest, s.threads)
		if next == nil {
			break
		}
		levels = append(levels, next)
		last = next
		done += size(last) / 2
		s.tell(done)
	}
	most := max(int64((1+s.imbalance)*float64(l.total)/float64(s.parts)), (l.total+int64(s.parts)-1)/int64(s.parts))
	coarse := s.first(levels[len(levels)-1], most)
	for i := len(levels) - 2; i >= 0; i-- {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		done += size(levels[i+1])
		s.tell(done)
		fine := make([]int32, levels[i].n)
		for v, c := range levels[i].coarse {
			fine[v] = coarse[c]
		}
		newRefiner(s, levels[i], fine, most).refine()
		coarse = fine
	}
	copy(part, coarse)
	s.tell(s.total)
	return s.ctx.Err()
}

// first cuts the smallest graph.
func (s *solver) first(l *level, most int64) []int32 {
	nodes, part := make([]int32, l.n), make([]int32, l.n)
	for v := range nodes {
		nodes[v] = int32(v)
	}
	s.split(&task{l: l, nodes: nodes, parts: s.parts, path: 1, most: most}, part)
	newRefiner(s, l, part, most).refine()
	return part
}

// task is a graph that recursive bisection has to cut.
type task struct {
	l     *level
	nodes []int32 // of the graph that all tasks are part of
	parts int
	first int32  // number of the first part
	path  uint64 // 1, then a bit for each cut above
	most  int64  // weight of a part
}

// split cuts t into its parts by recursive bisection. The halves are cut at the same time where
// goroutines are free.
func (s *solver) split(t *task, part []int32) {
	if t.parts == 1 || t.l.n == 0 || s.ctx.Err() != nil {
		for _, v := range t.nodes {
			part[v] = t.first
		}
		return
	}
	left := t.parts / 2
	right := t.parts - left
	// What a part may weigh more than the mean is spread over the cuts still to come.
	mean := float64(t.l.total) / float64(t.parts)
	slack := 1 + float64(max(0, float64(t.most)/mean-1)/float64(bits.Len(uint(t.parts-1))))
	limit := func(parts int) int64 {
		share := mean * float64(parts)
		return max(int64(share*slack), int64(math.Ceil(share)))
	}
	side := s.bisect(t.l, [2]int64{limit(left), limit(right)}, s.stream(streamBisect, t.path))
	a, b := t.halves(side)
	a.parts, b.parts = left, right
	b.first += int32(left)
	select {
	case s.workers <- struct{}{}:
		var other sync.WaitGroup
		other.Go(func() {
			s.split(a, part)
			<-s.workers
		})
		s.split(b, part)
		other.Wait()
	default:
		s.split(a, part)
		s.split(b, part)
	}
}

// halves returns the graphs on both sides, without the edges between them.
func (t *task) halves(side []int8) (a, b *task) {
	l := t.l
	local := make([]int32, l.n)
	var counts [2]int32
	var entries [2]int64
	for v := range int32(l.n) {
		local[v] = counts[side[v]]
		counts[side[v]]++
		entries[side[v]] += int64(l.degree(v))
	}
	var tasks [2]*task
	for i := range tasks {
		tasks[i] = &task{
			l: &level{
				n: int(counts[i]), xadj: make([]int64, 1, counts[i]+1), adj: make([]int32, 0, entries[i]),
				ew: make([]int32, 0, entries[i]), vw: make([]int32, 0, counts[i]),
			},
			nodes: make([]int32, 0, counts[i]), first: t.first, path: t.path<<1 | uint64(i), most: t.most,
		}
	}
	for v := range int32(l.n) {
		to := tasks[side[v]]
		for e := l.xadj[v]; e < l.xadj[v+1]; e++ {
			if u := l.adj[e]; side[u] == side[v] {
				to.l.adj = append(to.l.adj, local[u])
				to.l.ew = append(to.l.ew, int32(l.edgeWeight(e)))
			}
		}
		to.l.xadj = append(to.l.xadj, int64(len(to.l.adj)))
		to.l.vw = append(to.l.vw, int32(l.nodeWeight(v)))
		to.l.total += l.nodeWeight(v)
		to.nodes = append(to.nodes, t.nodes[v])
	}
	return tasks[0], tasks[1]
}
