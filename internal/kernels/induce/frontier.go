package induce

import "github.com/saint-gnn/saint/internal/cpufeat"

// MaxFrontier is the largest number of items of a [Frontier].
const MaxFrontier = fan * fan

// fan is how many items are a block, and how many blocks there are at most.
const fan = 64

// Frontier is a list of nodes that are drawn with probability proportional to
// min(degree, clip) and replaced by neighbours. Both take constant time: weights are summed
// up in two levels of 64, each of which is searched and changed at once. The zero Frontier
// is ready for Reset.
type Frontier struct {
	indptr  []int64
	indices []int32
	clip    int64
	sums    []uint32 // fan exclusive prefix sums over blocks, then fan for each block's items
	items   []place
	total   uint64
}

// place is where the row of an item lies.
type place struct{ start, degree int64 }

// CanPop reports whether Pop runs here; without AVX-512 a tree in plain Go is faster.
func CanPop() bool { return level >= cpufeat.AVX512 }

// Reset makes nodes the items. There are MaxFrontier at most, and their weights must sum to
// less than 2^32, now and after any number of replacements. Memory is reused.
func (f *Frontier) Reset(indptr []int64, indices []int32, clip int, nodes []int32) {
	f.indptr, f.indices, f.clip, f.total = indptr, indices, int64(clip), 0
	blocks := (len(nodes) + fan - 1) / fan
	if cap(f.sums) < fan*(1+blocks) {
		f.sums = make([]uint32, fan*(1+blocks))
		f.items = make([]place, fan*blocks)
	}
	f.sums, f.items = f.sums[:fan*(1+blocks)], f.items[:fan*blocks]
	clear(f.items)
	for i, v := range nodes {
		f.items[i] = place{start: indptr[v], degree: indptr[v+1] - indptr[v]}
	}
	for b := range fan {
		f.sums[b] = uint32(f.total)
		if b >= blocks {
			continue
		}
		sum := uint32(0)
		for i, item := range f.items[b*fan : (b+1)*fan] {
			f.sums[fan*(1+b)+i] = sum
			sum += uint32(min(item.degree, f.clip))
		}
		f.total += uint64(sum)
	}
}

// Total returns the sum of the weights.
func (f *Frontier) Total() uint64 { return f.total }

// Pop draws items and replaces them, up to len(dst) times; dst gets the neighbours. Each
// takes two of the values, which are 64 uniform bits each: the first, in 0…Total-1 after
// multiplication or masking as of math/rand/v2, says which item, laid end to end, and the
// second which neighbour. It stops early when no weight is left and before values that such
// a draw may have to reject, and returns how many items it replaced.
func (f *Frontier) Pop(values []uint64, dst []int32) int {
	n := min(len(dst), len(values)/2)
	if n == 0 || f.total == 0 {
		return 0
	}
	pops, total := pop(f, n, values, dst)
	f.total = uint64(total)
	return pops
}

// Find returns the item that holds x when the weights are laid end to end, and its degree;
// x is less than Total.
func (f *Frontier) Find(x uint64) (item int, degree uint64) {
	b := behind(f.sums[:fan], uint32(x))
	sums := f.sums[fan*(1+b) : fan*(2+b)]
	item = fan*b + behind(sums, uint32(x)-f.sums[b])
	return item, uint64(f.items[item].degree)
}

// behind returns the last position whose value is at most x.
func behind(sums []uint32, x uint32) int {
	k := -1
	for _, s := range sums {
		if s <= x {
			k++
		}
	}
	return k
}

// Replace puts neighbour k of the item in its place and returns it.
func (f *Frontier) Replace(item int, k uint64) int32 {
	old := f.items[item]
	v := f.indices[old.start+int64(k)]
	now := place{start: f.indptr[v], degree: f.indptr[v+1] - f.indptr[v]}
	f.items[item] = now
	delta := min(now.degree, f.clip) - min(old.degree, f.clip)
	f.total += uint64(delta)
	for b := item/fan + 1; b < fan; b++ {
		f.sums[b] += uint32(delta)
	}
	sums := f.sums[fan*(1+item/fan) : fan*(2+item/fan)]
	for i := item%fan + 1; i < fan; i++ {
		sums[i] += uint32(delta)
	}
	return v
}
