package partition

import (
	"math/rand/v2"
	"slices"
)

// Coarsening.
const (
	shrinkLeast   = 0.95 // a level that keeps more of its nodes than this is the last
	unmatchedMost = 0.10 // with more nodes left over, pairs without a common edge are made
	hubDegree     = 64   // nodes of higher degree are no part of such pairs
)

// coarsen pairs the nodes of l and returns the graph of the pairs, or nil if it would hardly be
// smaller. No pair is heavier than most.
func (l *level) coarsen(r *rand.Rand, most int64, threads int) *level {
	match := make([]int32, l.n)
	for v := range match {
		match[v] = -1
	}
	order := l.order(r)
	left := l.matchEdges(order, match, most)
	if float64(left) > unmatchedMost*float64(l.n) {
		l.matchTwoHops(order, match, most)
	}
	n := int32(0)
	l.coarse = make([]int32, l.n)
	for v := range int32(l.n) {
		u := match[v]
		if u >= 0 && u < v {
			l.coarse[v] = l.coarse[u]
			continue
		}
		l.coarse[v] = n
		n++
	}
	if float64(n) > shrinkLeast*float64(l.n) {
		l.coarse = nil
		return nil
	}
	return l.contract(int(n), threads)
}

// order returns the nodes by ascending degree, those of like degree at random: nodes with few
// neighbours have fewer to choose from.
func (l *level) order(r *rand.Rand) []int32 {
	most := int(0.7*float64(len(l.adj))/float64(l.n)) + 1
	random, order := make([]int32, l.n), make([]int32, l.n)
	permutation(r, random)
	start := make([]int32, most+2)
	for v := range int32(l.n) {
		start[min(l.degree(v), most)+1]++
	}
	for d := range most + 1 {
		start[d+1] += start[d]
	}
	for _, v := range random {
		d := min(l.degree(v), most)
		order[start[d]] = v
		start[d]++
	}
	return order
}

// matchEdges pairs each node with the unmatched neighbour to which its edge is heaviest for the
// weight of the two, and nodes without neighbours with each other. It returns how many are left.
func (l *level) matchEdges(order, match []int32, most int64) (left int) {
	lonely := int32(-1)
	for _, v := range order {
		if match[v] >= 0 {
			continue
		}
		wv := l.nodeWeight(v)
		if l.degree(v) == 0 {
			if lonely >= 0 && wv+l.nodeWeight(lonely) <= most {
				match[v], match[lonely] = lonely, v
				lonely = -1
				left--
			} else {
				lonely = v
				left++
			}
			continue
		}
		best, bestScore := int32(-1), 0.0
		for e := l.xadj[v]; e < l.xadj[v+1]; e++ {
			u := l.adj[e]
			if match[u] >= 0 {
				continue
			}
			wu := l.nodeWeight(u)
			if wv+wu > most {
				continue
			}
			score := rate(l.edgeWeight(e), wv, wu)
			if score > bestScore {
				best, bestScore = u, score
			}
		}
		if best < 0 {
			left++
			continue
		}
		match[v], match[best] = best, v
	}
	return left
}

// rate says how much an edge of weight w between nodes of those weights ought to be contracted.
// Light nodes go first, which keeps the weights of the coarse nodes alike.
func rate(w, wv, wu int64) float64 { return float64(w) * float64(w) / (float64(wv) * float64(wu)) }

// matchTwoHops pairs unmatched nodes that share a neighbour, first those with the same
// neighbours: stars and other hubs with many leaves leave most nodes alone.
func (l *level) matchTwoHops(order, match []int32, most int64) {
	l.matchTwins(match, most)
	// The unmatched nodes around each node, in its row's order.
	for _, hub := range order {
		last := int32(-1)
		for _, v := range l.adj[l.xadj[hub]:l.xadj[hub+1]] {
			switch {
			case match[v] >= 0 || l.degree(v) > hubDegree:
			case last < 0:
				last = v
			case l.nodeWeight(v)+l.nodeWeight(last) <= most:
				match[v], match[last] = last, v
				last = -1
			}
		}
	}
}

// matchTwins pairs unmatched nodes with the same neighbours.
func (l *level) matchTwins(match []int32, most int64) {
	type keyed struct {
		key uint64
		v   int32
	}
	var all []keyed
	for v := range int32(l.n) {
		if match[v] >= 0 || l.degree(v) == 0 || l.degree(v) > hubDegree {
			continue
		}
		// A sum of hashes does not depend on the order of the row. A collision only makes a pair
		// that is no better than others.
		key := uint64(l.degree(v))
		for _, u := range l.adj[l.xadj[v]:l.xadj[v+1]] {
			key += mix(uint64(u))
		}
		all = append(all, keyed{key, v})
	}
	slices.SortFunc(all, func(a, b keyed) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		return int(a.v) - int(b.v)
	})
	for i := 0; i+1 < len(all); i++ {
		a, b := all[i], all[i+1]
		if a.key == b.key && l.nodeWeight(a.v)+l.nodeWeight(b.v) <= most {
			match[a.v], match[b.v] = b.v, a.v
			i++
		}
	}
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
