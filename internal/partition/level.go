package partition

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// level is one graph of the hierarchy, without loops.
type level struct {
	n      int
	xadj   []int64
	adj    []int32
	ew     []int32 // nil: all 1
	vw     []int32 // nil: all 1
	total  int64   // of vw
	coarse []int32 // node of the next smaller graph that holds a node; nil at the smallest
}

func (l *level) nodeWeight(v int32) int64 {
	if l.vw == nil {
		return 1
	}
	return int64(l.vw[v])
}

func (l *level) edgeWeight(e int64) int64 {
	if l.ew == nil {
		return 1
	}
	return int64(l.ew[e])
}

func (l *level) degree(v int32) int { return int(l.xadj[v+1] - l.xadj[v]) }

// dropLoops replaces the rows by copies without their loops entries.
func (l *level) dropLoops(loops int64) {
	xadj, adj := make([]int64, l.n+1), make([]int32, 0, int64(len(l.adj))-loops)
	var ew []int32
	if l.ew != nil {
		ew = make([]int32, 0, cap(adj))
	}
	for v := range int32(l.n) {
		for e := l.xadj[v]; e < l.xadj[v+1]; e++ {
			if l.adj[e] == v {
				continue
			}
			adj = append(adj, l.adj[e])
			if ew != nil {
				ew = append(ew, l.ew[e])
			}
		}
		xadj[v+1] = int64(len(adj))
	}
	l.xadj, l.adj, l.ew = xadj, adj, ew
}

// weigh checks the weights and adds those of the nodes up.
func (l *level) weigh() error {
	for e, w := range l.ew {
		if w < 1 {
			return fmt.Errorf("partition: entry %d weighs %d, want 1 or more", e, w)
		}
	}
	l.total = int64(l.n)
	if l.vw == nil {
		return nil
	}
	l.total = 0
	for v, w := range l.vw {
		if w < 1 {
			return fmt.Errorf("partition: node %d weighs %d, want 1 or more", v, w)
		}
		l.total += int64(w)
	}
	if l.total > math.MaxInt32 {
		return fmt.Errorf("partition: the nodes weigh %d, want at most 2^31-1", l.total)
	}
	return nil
}

// permutation fills dst with 0…len(dst)-1 in random order.
func permutation(r *rand.Rand, dst []int32) {
	for i := range dst {
		j := r.IntN(i + 1)
		dst[i] = dst[j]
		dst[j] = int32(i)
	}
}

// contract builds the graph in which the nodes with equal l.coarse, below n, are one.
func (l *level) contract(n, threads int) *level {
	start, member := groups(l.coarse, n)
	c := &level{n: n, xadj: make([]int64, n+1), vw: make([]int32, n), total: l.total}
	// Ranges of coarse nodes with about equal numbers of entries are built apart and then joined;
	// rows do not depend on where ranges end.
	type piece struct{ adj, ew []int32 }
	const mostPieces = 64
	count := 1
	if threads > 1 && len(l.adj) > 1<<14 {
		count = min(mostPieces, n)
	}
	pieces := make([]piece, count)
	ends := make([]int, count+1)
	per, sum, at := int64(len(l.adj)/count+1), int64(0), 0
	for i := range n {
		for _, v := range member[start[i]:start[i+1]] {
			sum += int64(l.degree(v))
		}
		if sum >= per && at < count-1 {
			at++
			ends[at], sum = i+1, 0
		}
	}
	for ; at < count; at++ {
		ends[at+1] = n
	}
	share(count, threads, func() func(int) {
		where := make([]int32, n)
		for i := range where {
			where[i] = -1
		}
		return func(p int) {
			pieces[p].adj, pieces[p].ew = l.contractRows(c, start, member, where, ends[p], ends[p+1])
		}
	})
	for i := range n {
		c.xadj[i+1] += c.xadj[i]
	}
	c.adj, c.ew = make([]int32, c.xadj[n]), make([]int32, c.xadj[n])
	share(count, threads, func() func(int) {
		return func(p int) {
			copy(c.adj[c.xadj[ends[p]]:], pieces[p].adj)
			copy(c.ew[c.xadj[ends[p]]:], pieces[p].ew)
		}
	})
	return c
}

// groups lists the nodes with the same coarse node: member[start[i]:start[i+1]] are those of i,
// ascending.
func groups(coarse []int32, n int) (start, member []int32) {
	start, member = make([]int32, n+2), make([]int32, len(coarse))
	for _, c := range coarse {
		start[c+2]++
	}
	for i := 2; i < n+2; i++ {
		start[i] += start[i-1]
	}
	for v, c := range coarse {
		member[start[c+1]] = int32(v)
		start[c+1]++
	}
	return start[:n+1], member
}

// contractRows returns the rows lo to hi-1 of c and leaves their lengths in xadj and their
// weights in vw. where holds -1 for every coarse node, and does so again afterwards.
func (l *level) contractRows(c *level, start, member, where []int32, lo, hi int) (adj, ew []int32) {
	entries := int64(0)
	for _, v := range member[start[lo]:start[hi]] {
		entries += int64(l.degree(v))
	}
	adj, ew = make([]int32, 0, entries), make([]int32, 0, entries)
	for i := lo; i < hi; i++ {
		first := len(adj)
		weight := int64(0)
		for _, v := range member[start[i]:start[i+1]] {
			weight += l.nodeWeight(v)
			for e := l.xadj[v]; e < l.xadj[v+1]; e++ {
				u := l.coarse[l.adj[e]]
				if int(u) == i {
					continue
				}
				w := int32(l.edgeWeight(e))
				if k := where[u]; k >= 0 {
					ew[k] = int32(min(int64(ew[k])+int64(w), math.MaxInt32))
					continue
				}
				where[u] = int32(len(adj))
				adj, ew = append(adj, u), append(ew, w)
			}
		}
		for _, u := range adj[first:] {
			where[u] = -1
		}
		c.vw[i] = int32(weight)
		c.xadj[i+1] = int64(len(adj) - first)
	}
	return adj, ew
}

// share calls f(0), …, f(n-1) on threads goroutines; each gets a function of its own from made.
func share(n, threads int, made func() func(int)) {
	if threads = min(threads, n); threads <= 1 {
		f := made()
		for i := range n {
			f(i)
		}
		return
	}
	var next sync.Mutex
	at := 0
	take := func() int {
		next.Lock()
		defer next.Unlock()
		at++
		return at - 1
	}
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			f := made()
			for i := take(); i < n; i = take() {
				f(i)
			}
		})
	}
	all.Wait()
}
