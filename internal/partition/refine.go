package partition

// Refinement.
const (
	refinePasses  = 10
	patienceLeast = 200 // moves in a row that win nothing before a pass ends
	patienceMost  = 20000
)

// refiner moves nodes between parts.
type refiner struct {
	*level
	s      *solver
	part   []int32
	most   int64
	weight []int64 // of parts
	count  []int32 // nodes of parts

	// The parts around each node, in no order: those of v are at[v] to at[v]+have[v]-1.
	at   []int64
	have []int32
	to   []int32 // part
	sum  []int64 // weight of the edges to it

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
		k.at[v+1] = k.at[v] + int64(min(l.degree(v), s.parts))
	}
	k.to, k.sum = make([]int32, k.at[l.n]), make([]int64, k.at[l.n])
	const chunk = 4096
	share((l.n+chunk-1)/chunk, s.threads, func() func(int) {
		slot := make([]int32, s.parts) // position of a part in the node's list, plus 1
		return func(i int) {
			for v := int32(i * chunk); v < int32(min((i+1)*chunk, l.n)); v++ {
				k.gather(v, slot)
			}
		}
	})
	return k
}

// gather makes the list of v. slot holds zeros.
func (k *refiner) gather(v int32, slot []int32) {
	base := k.at[v]
	n := int32(0)
	for e := k.xadj[v]; e < k.xadj[v+1]; e++ {
		p := k.part[k.adj[e]]
		if slot[p] == 0 {
			k.to[base+int64(n)], k.sum[base+int64(n)] = p, 0
			n++
			slot[p] = n
		}
		k.sum[base+int64(slot[p])-1] += k.edgeWeight(e)
	}
	k.have[v] = n
	for _, p := range k.to[base : base+int64(n)] {
		slot[p] = 0
	}
}

// refine lowers the cut and leaves no part too heavy, if that can be done.
func (k *refiner) refine() {
	k.balance()
	for range refinePasses {
		if k.s.ctx.Err() != nil || k.pass() == 0 {
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
	own, most := int64(0), int64(-1)
	lo, hi := k.at[v], k.at[v]+int64(k.have[v])
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
	return to, most - own, most >= 0
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
	for e := k.xadj[v]; e < k.xadj[v+1]; e++ {
		k.shift(k.adj[e], from, to, k.edgeWeight(e))
	}
}

// shift moves weight w in the list of u from one part to another.
func (k *refiner) shift(u, from, to int32, w int64) {
	base := k.at[u]
	n := int64(k.have[u])
	parts, sums := k.to[base:k.at[u+1]], k.sum[base:k.at[u+1]]
	i, j := int64(-1), int64(-1)
	for x, p := range parts[:n] {
		switch p {
		case from:
			i = int64(x)
		case to:
			j = int64(x)
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
	patience := min(max(k.n/10, patienceLeast), patienceMost)
	k.log = k.log[:0]
	for len(k.log)-best <= patience {
		v, to, gain := k.next()
		if v < 0 || len(k.log)%4096 == 4095 && k.s.ctx.Err() != nil {
			break
		}
		k.queue.remove(v)
		k.done[v] = true
		k.log = append(k.log, step{v, k.part[v]})
		k.move(v, to)
		if won += gain; won > most {
			most, best = won, len(k.log)
		}
		for _, u := range k.adj[k.xadj[v]:k.xadj[v+1]] {
			if !k.done[u] {
				k.consider(u)
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
	return n == 0 || n == 1 && k.to[k.at[v]] == k.part[v]
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
	for i := k.at[v]; i < k.at[v]+int64(k.have[v]); i++ {
		if k.to[i] == k.part[v] {
			return k.sum[i]
		}
	}
	return 0
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
