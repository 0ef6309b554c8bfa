package synth

import (
	"context"
	"slices"
	"sort"
)

// nodeBlock is the number of nodes that share a stream in the stages over nodes.
const nodeBlock = 4096

// blocks is the community structure: classes and sizes.
type blocks struct {
	class []int32   // class of each community; single-label data
	cum   []float64 // cum[k]: size of communities 0…k together; all of them: about 1
}

// newBlocks allots communities to classes by the classes' frequencies, at least one each,
// and sizes that vary by a factor of up to three within a class.
func newBlocks(p *Preset, seed uint64) *blocks {
	classes := p.Classes
	if p.Multi {
		classes = 1
	}
	prior, total := make([]float64, classes), 0.0
	for c := range prior {
		prior[c] = power64(float64(c+1), p.ClassTail)
		total += prior[c]
	}
	count := make([]int, classes)
	for c := range count {
		count[c] = 1
	}
	for range p.Communities - classes {
		// The next community goes to the class whose communities are largest.
		best := 0
		for c := range count {
			if prior[c]/float64(count[c]) > prior[best]/float64(count[best]) {
				best = c
			}
		}
		count[best]++
	}
	r := newStream(seed, stageCommunities, 0)
	b := &blocks{}
	sum := 0.0
	for c := range count {
		size, ofClass := make([]float64, count[c]), 0.0
		for i := range size {
			size[i] = 0.5 + r.unit()
			ofClass += size[i]
		}
		for i := range size {
			sum += float64(prior[c] / total * size[i] / ofClass)
			b.class = append(b.class, int32(c))
			b.cum = append(b.cum, sum)
		}
	}
	return b
}

// draw returns a community by the sizes.
func (b *blocks) draw(r *stream) int32 {
	u := r.unit() * b.cum[len(b.cum)-1]
	k := sort.Search(len(b.cum), func(i int) bool { return b.cum[i] > u })
	return int32(min(k, len(b.cum)-1))
}

// nodes holds what is drawn for each node before edges, labels and features.
type nodes struct {
	community []int32
	stubs     []int32 // expected degree up to a common factor, at least 1
	role      []uint8 // 0 training, 1 validation, 2 test

	train, val, test []int32 // ascending
}

// newNodes draws roles, communities and expected degrees.
func newNodes(ctx context.Context, p *Preset, seed uint64, b *blocks) (*nodes, error) {
	n := &nodes{
		community: make([]int32, p.Nodes),
		stubs:     make([]int32, p.Nodes),
		role:      make([]uint8, p.Nodes),
	}
	n.assignRoles(p, seed)
	weight := make([]float64, p.Nodes)
	round := make([]float64, p.Nodes)
	err := forBlocks(ctx, p.Nodes, nodeBlock, func(block, lo, hi int) {
		r := newStream(seed, stageNodes, uint64(block))
		for v := lo; v < hi; v++ {
			n.community[v] = b.draw(r)
			weight[v] = power64(r.unit()+p.Cut, p.Tail) - p.Shift
			round[v] = r.unit()
		}
	})
	if err != nil {
		return nil, err
	}
	total := 0.0
	for _, w := range weight {
		total += w
	}
	// Enough stubs that rounding does not flatten the small degrees.
	scale := float64(max(8*int64(p.Nodes), p.Edges)) / total
	for v, w := range weight {
		n.stubs[v] = max(1, int32(min(float64(w*scale)+round[v], 1<<30)))
	}
	return n, nil
}

// assignRoles deals the nodes at random into sets of the exact sizes of the split; at least
// one node trains.
func (n *nodes) assignRoles(p *Preset, seed uint64) {
	order := newStream(seed, stageRoles, 0).permutation(p.Nodes)
	percent := func(share int) int { return int((int64(p.Nodes)*int64(share) + 50) / 100) }
	trainEnd := max(1, percent(p.Train))
	valEnd := max(trainEnd, percent(p.Train+p.Val))
	n.train, n.val, n.test = order[:trainEnd:trainEnd], order[trainEnd:valEnd:valEnd], order[valEnd:]
	for role, ids := range [][]int32{n.train, n.val, n.test} {
		slices.Sort(ids)
		for _, v := range ids {
			n.role[v] = uint8(role)
		}
	}
}
