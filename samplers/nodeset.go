package samplers

import "math/bits"

// nodeSet is a set of node ids with rank queries: which of the set's nodes, in ascending
// order, is v. It is a bitmap with a summary bitmap over its words and one over those, so
// that members come out sorted and everything is cleared in time proportional to their
// number. The bitmap of 10^8 nodes takes 12.5 MB, its ranks 6.25 MB; that of a graph of
// 300,000 nodes stays in the first-level cache while rows are scanned.
type nodeSet struct {
	words []uint64 // bit v%64 of word v/64: v is a member
	rank  []int32  // members before the word; valid for words with members after extract
	sum1  []uint64 // bit i: words[i] is not zero
	sum2  []uint64 // bit i: sum1[i] is not zero
	size  int      // members
}

// reset empties the set and makes room for the ids below n.
func (s *nodeSet) reset(n int) {
	s.clear()
	nw := (n + 63) / 64
	if len(s.words) >= nw {
		return
	}
	s.words = make([]uint64, nw)
	s.rank = make([]int32, nw)
	s.sum1 = make([]uint64, (nw+63)/64)
	s.sum2 = make([]uint64, (len(s.sum1)+63)/64)
}

// clear empties the set. Cost O(members) plus a 2^-18th of the ids.
func (s *nodeSet) clear() {
	if s.size == 0 {
		return
	}
	for i2, b2 := range s.sum2 {
		for ; b2 != 0; b2 &= b2 - 1 {
			i1 := i2<<6 + bits.TrailingZeros64(b2)
			for b1 := s.sum1[i1]; b1 != 0; b1 &= b1 - 1 {
				s.words[i1<<6+bits.TrailingZeros64(b1)] = 0
			}
			s.sum1[i1] = 0
		}
		s.sum2[i2] = 0
	}
	s.size = 0
}

// add puts the ids into the set and reports the first one outside 0…n-1, if there is one.
func (s *nodeSet) add(ids []int32, n int) (bad int32, ok bool) {
	for _, v := range ids {
		if uint(uint32(v)) >= uint(n) {
			return v, false
		}
		i, bit := uint32(v)>>6, uint64(1)<<(uint32(v)&63)
		w := s.words[i]
		if w&bit != 0 {
			continue
		}
		s.size++
		s.words[i] = w | bit
		if w == 0 {
			s.sum1[i>>6] |= 1 << (i & 63)
			s.sum2[i>>12] |= 1 << (i >> 6 & 63)
		}
	}
	return 0, true
}

// extract writes the members to dst in ascending order, which must have room for them, and
// makes local valid. Cost O(members) plus a 2^-18th of the ids.
func (s *nodeSet) extract(dst []int32) {
	k := 0
	for i2, b2 := range s.sum2 {
		for ; b2 != 0; b2 &= b2 - 1 {
			i1 := i2<<6 + bits.TrailingZeros64(b2)
			for b1 := s.sum1[i1]; b1 != 0; b1 &= b1 - 1 {
				i := i1<<6 + bits.TrailingZeros64(b1)
				s.rank[i] = int32(k)
				for w := s.words[i]; w != 0; w &= w - 1 {
					dst[k] = int32(i<<6 + bits.TrailingZeros64(w))
					k++
				}
			}
		}
	}
}

// local returns the position of member v among the members.
func (s *nodeSet) local(v int32) int32 {
	i, below := uint32(v)>>6, uint64(1)<<(uint32(v)&63)-1
	return s.rank[i] + int32(bits.OnesCount64(s.words[i]&below))
}

// scan writes to hits the positions in row whose id is a member and returns how many there
// are. len(hits) must be at least len(row).
func (s *nodeSet) scan(row []int32, hits []uint32) int {
	k := 0
	words := s.words
	for i, u := range row {
		// Written always and kept if a member: about a fifth of a dense row hits, which no
		// branch predictor can foresee.
		hits[k] = uint32(i)
		k += int(words[uint32(u)>>6] >> (uint32(u) & 63) & 1)
	}
	return k
}
