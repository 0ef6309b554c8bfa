package partition

import "math"

// Refinement.
const (
	refinePasses  = 10
	worthwhile    = 0.0005 // a pass that takes a smaller share off the cut is the last
	patienceLeast = 200    // moves in a row that win nothing before a pass ends
	patienceShare = 50     // … on a large graph, one of so many nodes
	listCost      = 2      // places in a row of all parts that cost as much as one in a list
)

// refiner moves nodes between parts.
type refiner struct {
	*level
	s      *solver
	part   []int32
	most   int64
	weight []int64 // of parts
	count  []int32 // nodes of parts

	// The weights of the edges from each node to the parts. Those of v begin at at[v]. A row of
	// as many places as there are parts has each part's in its place. A shorter one is a list,
	// in no order, of the have[v] parts around v and their weights.
	at   []int64
	have []int32 // parts around the node
	to   []int32 // part; of lists only
	sum  []int64
	cut  int64

	queue *queue
	light *queue // parts, the lightest first; only while balancing
	done  []bool
	log   []step
}

// step is a move that may be taken back.
type step struct{ node, from int32 }

func newRefiner(s *solver, l *level, part []int32, most int64) *refiner {
	k := &refiner{
		level: l, s: s, part: part, most: most, weight: make([]int64, s.parts), count: make([]int32, s.parts),
		at: make([]int64, l.n+1), have: make([]int32, l.n), queue: newQueue(l.n), done: make([]bool, l.n),
	}
	for v := range int32(l.n) {
		k.weight[part[v]] += l.nodeWeight(v)
		k.count[part[v]]++
		places := l.degree(v)
		if places*listCost >= s.parts {
			places = s.parts
		}
		k.at[v+1] = k.at[v] + int64(places)
	}
	k.to, k.sum = make([]int32, k.at[l.n]), make([]int64, k.at[l.n])
	const chunk = 4096
	outer := make([]int64, (l.n+chunk-1)/chunk)
	share(len(outer), s.threads, func() func(int) {
		slot := make([]int32, s.parts) // position of a part in the node's list, plus 1
		return func(i int) {
			for v := int32(i * chunk); v < int32(min((i+1)*chunk, l.n)); v++ {
				outer[i] += k.gather(v, slot)
			}
		}
	})
	for _, w := range outer {
		k.cut += w
	}
	k.cut /= 2
	return k
}

// dense reports whether the row of v has a place for every part.
func (k *refiner) dense(v int32) bool { return k.at[v+1]-k.at[v] == int64(k.s.parts) }

// gather makes the row of v and returns the weight of its edges to other parts. slot holds zeros.
func (k *refiner) gather(v int32, slot []int32) (outer int64) {
	own := k.part[v]
	parts, sums := k.to[k.at[v]:k.at[v+1]], k.sum[k.at[v]:k.at[v+1]]
	n, dense := int32(0), k.dense(v)
	for e := k.xadj[v]; e < k.xadj[v+1]; e++ {
		p, w := k.part[k.adj[e]], k.edgeWeight(e)
		if p != own {
			outer += w
		}
		switch {
		case dense:
			if sums[p] == 0 {
				n++
			}
			sums[p] += w
		case slot[p] == 0:
			parts[n], sums[n] = p, w
			n++
			slot[p] = n
		default:
			sums[slot[p]-1] += w
		}
	}
	k.have[v] = n
	if !dense {
		for _, p := range parts[:n] {
			slot[p] = 0
		}
	}
	return outer
}

// refine lowers the cut and leaves no part too heavy, if that can be done.
func (k *refiner) refine() {
	k.balance()
	for range refinePasses {
		if k.s.ctx.Err() != nil || float64(k.pass()) <= worthwhile*float64(k.cut) {
			break
		}
	}
	k.fill()
}

// best returns the part that v should go to, what that takes off the cut, and whether there is
// such a part: one of a neighbour with room for v.
func (k *refiner) best(v int32) (to int32, gain int64, ok bool) {
	from, w := k.part[v], k.nodeWeight(v)
	if k.count[from] == 1 {
		return 0, 0, false
	}
	own, most := int64(0), int64(0)
	lo, hi := k.at[v], k.at[v+1]
	if k.dense(v) {
		sums, weights := k.sum[lo:hi], k.weight
		own = sums[from]
		for p, sum := range sums {
			if sum < most || sum == 0 || int32(p) == from || weights[p]+w > k.most {
				continue
			}
			if sum > most || weights[p] < weights[to] {
				to, most = int32(p), sum
			}
		}
		return to, most - own, most > 0
	}
	hi = lo + int64(k.have[v])
	parts, sums := k.to[lo:hi], k.sum[lo:hi]
	for i, p := range parts {
		switch sum := sums[i]; {
		case p == from:
			own = sum
		case sum < most || k.weight[p]+w > k.most:
		case sum > most || k.weight[p] < k.weight[to]:
			to, most = p, sum
		}
	}
	return to, most - own, most > 0
}

// move puts v into another part and corrects the lists of its neighbours.
func (k *refiner) move(v, to int32) {
	from, w := k.part[v], k.nodeWeight(v)
	k.part[v] = to
	k.weight[from] -= w
	k.weight[to] += w
	k.count[from]--
	k.count[to]++
	if k.light != nil {
		k.light.set(from, -k.weight[from])
		k.light.set(to, -k.weight[to])
	}
	k.cut -= k.sumTo(v, to) - k.sumTo(v, from)
	for e := k.xadj[v]; e < k.xadj[v+1]; e++ {
		k.shift(k.adj[e], from, to, k.edgeWeight(e))
	}
}

// sumTo returns the weight of the edges between v and part p.
func (k *refiner) sumTo(v, p int32) int64 {
	lo, hi := k.at[v], k.at[v]+int64(k.have[v])
	if k.dense(v) {
		return k.sum[lo+int64(p)]
	}
	for i, q := range k.to[lo:hi] {
		if q == p {
			return k.sum[lo+int64(i)]
		}
	}
	return 0
}

// shift moves weight w in the row of u from one part to another.
func (k *refiner) shift(u, from, to int32, w int64) {
	n := int64(k.have[u])
	parts, sums := k.to[k.at[u]:k.at[u+1]], k.sum[k.at[u]:k.at[u+1]]
	if len(sums) == k.s.parts {
		if sums[to] == 0 {
			k.have[u]++
		}
		if sums[from] == w {
			k.have[u]--
		}
		sums[from] -= w
		sums[to] += w
		return
	}
	i, j := int64(-1), int64(-1)
	for x := int64(0); x < n && (i < 0 || j < 0); x++ {
		switch parts[x] {
		case from:
			i = x
		case to:
			j = x
		}
	}
	sums[i] -= w
	switch {
	case sums[i] == 0 && j >= 0:
		sums[j] += w
		n--
		parts[i], sums[i] = parts[n], sums[n]
		k.have[u]--
	case sums[i] == 0:
		parts[i], sums[i] = to, w
	case j >= 0:
		sums[j] += w
	default:
		parts[n], sums[n] = to, w
		k.have[u]++
	}
}

// pass moves every node once at most, those that win most first, and takes back the moves after
// the best state. It returns what it took off the cut.
func (k *refiner) pass() int64 {
	for v := range int32(k.n) {
		k.consider(v)
	}
	won, most, best := int64(0), int64(0), 0
	patience := max(k.n/patienceShare, patienceLeast)
	k.log = k.log[:0]
	for len(k.log)-best <= patience {
		v, to, gain := k.next()
		if v < 0 || len(k.log)%4096 == 4095 && k.s.ctx.Err() != nil {
			break
		}
		k.queue.remove(v)
		k.done[v] = true
		k.log = append(k.log, step{v, k.part[v]})
		from := k.part[v]
		k.move(v, to)
		if won += gain; won > most {
			most, best = won, len(k.log)
		}
		for e := k.xadj[v]; e < k.xadj[v+1]; e++ {
			if u := k.adj[e]; !k.done[u] {
				k.reconsider(u, from, to, k.edgeWeight(e))
			}
		}
	}
	for _, m := range k.log {
		k.done[m.node] = false
	}
	for i := len(k.log) - 1; i >= best; i-- {
		k.move(k.log[i].node, k.log[i].from)
	}
	k.queue.clear()
	return most
}

// consider puts v into the queue, or out of it.
func (k *refiner) consider(v int32) {
	if !k.inner(v) {
		if _, gain, ok := k.best(v); ok {
			k.queue.set(v, gain)
			return
		}
	}
	k.queue.remove(v)
}

// reconsider corrects the gain of u in the queue after an edge of weight w at it has moved from one
// part to another; only these two have become better or got room. The gain may then be too high,
// which next finds out.
func (k *refiner) reconsider(u, from, to int32, w int64) {
	own := k.part[u]
	was, queued := k.queue.gainOf(u)
	gain := was
	switch {
	case !queued:
		if k.count[own] == 1 {
			return
		}
		gain = math.MinInt64
	case own == to:
		gain -= w
	case own == from:
		gain += w
	}
	inside, weight := k.sumTo(u, own), k.nodeWeight(u)
	for _, p := range [2]int32{from, to} {
		if p == own || k.weight[p]+weight > k.most {
			continue
		}
		if sum := k.sumTo(u, p); sum > 0 {
			gain = max(gain, sum-inside)
		}
	}
	if gain > math.MinInt64 && (!queued || gain != was) {
		k.queue.set(u, gain)
	}
}

// next returns the node that wins most and where it goes; v is -1 if there is none. What the queue
// says may be out of date: parts have filled up.
func (k *refiner) next() (v, to int32, gain int64) {
	for k.queue.len() > 0 {
		v, thought := k.queue.top()
		to, gain, ok := k.best(v)
		if !ok {
			k.queue.remove(v)
			continue
		}
		if gain < thought {
			k.queue.set(v, gain)
			if top, _ := k.queue.top(); top != v {
				continue
			}
		}
		return v, to, gain
	}
	return -1, 0, 0
}

// inner reports whether all neighbours of v are in its part.
func (k *refiner) inner(v int32) bool {
	n := k.have[v]
	return n == 0 || n == 1 && k.own(v) > 0
}

// balance makes parts that are too heavy lighter, at the least cost in edges.
func (k *refiner) balance() {
	over := false
	for _, w := range k.weight {
		over = over || w > k.most
	}
	if !over {
		return
	}
	k.light = newQueue(len(k.weight))
	for p, w := range k.weight {
		k.light.set(int32(p), -w)
	}
	for v := range int32(k.n) {
		if k.weight[k.part[v]] > k.most {
			_, gain := k.away(v)
			k.queue.set(v, gain)
		}
	}
	for k.queue.len() > 0 {
		v, thought := k.queue.top()
		from := k.part[v]
		if k.weight[from] <= k.most {
			k.queue.remove(v)
			continue
		}
		to, gain := k.away(v)
		if gain < thought {
			k.queue.set(v, gain)
			if top, _ := k.queue.top(); top != v {
				continue
			}
		}
		k.queue.remove(v)
		if k.weight[to]+k.nodeWeight(v) < k.weight[from] && k.count[from] > 1 {
			k.move(v, to)
		}
	}
	k.queue.clear()
	k.light = nil
}

// away returns where v could go: to the best part with room, else to the lightest.
func (k *refiner) away(v int32) (to int32, gain int64) {
	to, gain, ok := k.best(v)
	if ok {
		return to, gain
	}
	to, _ = k.light.top()
	return to, -k.own(v)
}

// own returns the weight of the edges of v within its part.
func (k *refiner) own(v int32) int64 {
	return k.sumTo(v, k.part[v])
}

// fill gives every empty part a node that costs little, from a part that has others.
func (k *refiner) fill() {
	empty := 0
	for _, n := range k.count {
		if n == 0 {
			empty++
		}
	}
	if empty == 0 {
		return
	}
	for v := range int32(k.n) {
		k.queue.set(v, -k.own(v))
	}
	for p := 0; p < len(k.count) && k.queue.len() > 0; {
		if k.count[p] > 0 {
			p++
			continue
		}
		v, _ := k.queue.top()
		k.queue.remove(v)
		if k.count[k.part[v]] > 1 {
			k.move(v, int32(p))
		}
	}
	k.queue.clear()
}
