package partition

// queue is a binary heap of nodes by gain, the largest first; which of equal gains comes first
// follows from the calls alone. Positions make changes of a node's gain possible.
type queue struct {
	node []int32
	gain []int64
	at   []int32 // position of a node in the heap; -1: not in it
}

func newQueue(n int) *queue {
	q := &queue{at: make([]int32, n)}
	for v := range q.at {
		q.at[v] = -1
	}
	return q
}

func (q *queue) len() int { return len(q.node) }

func (q *queue) clear() {
	for _, v := range q.node {
		q.at[v] = -1
	}
	q.node, q.gain = q.node[:0], q.gain[:0]
}

// gainOf returns the gain of v if it is in the queue.
func (q *queue) gainOf(v int32) (gain int64, ok bool) {
	if i := q.at[v]; i >= 0 {
		return q.gain[i], true
	}
	return 0, false
}

// set puts v into the queue or changes its gain.
func (q *queue) set(v int32, gain int64) {
	i := int(q.at[v])
	if i < 0 {
		i = len(q.node)
		q.node, q.gain = append(q.node, v), append(q.gain, gain)
		q.at[v] = int32(i)
		q.up(i)
		return
	}
	old := q.gain[i]
	q.gain[i] = gain
	if gain > old {
		q.up(i)
	} else if gain < old {
		q.down(i)
	}
}

func (q *queue) remove(v int32) {
	i := int(q.at[v])
	if i < 0 {
		return
	}
	last := len(q.node) - 1
	q.swap(i, last)
	q.at[v] = -1
	q.node, q.gain = q.node[:last], q.gain[:last]
	if i < last {
		q.up(i)
		q.down(i)
	}
}

// top returns the node of the largest gain; the queue must not be empty.
func (q *queue) top() (v int32, gain int64) { return q.node[0], q.gain[0] }

func (q *queue) swap(i, j int) {
	q.node[i], q.node[j] = q.node[j], q.node[i]
	q.gain[i], q.gain[j] = q.gain[j], q.gain[i]
	q.at[q.node[i]], q.at[q.node[j]] = int32(i), int32(j)
}

func (q *queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if q.gain[parent] >= q.gain[i] {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q *queue) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(q.node) {
			return
		}
		if child+1 < len(q.node) && q.gain[child+1] > q.gain[child] {
			child++
		}
		if q.gain[i] >= q.gain[child] {
			return
		}
		q.swap(i, child)
		i = child
	}
}
