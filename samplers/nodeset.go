package samplers

import "math/bits"

// nodeSet is a set of node ids with rank queries: which of the set's nodes, in ascending
// order, is v. It is a bitmap with the number of members before each word, as the loops of
// internal/kernels/induce want it. The bitmap of 10^8 nodes takes 12.5 MB and its ranks as
// much; that of a graph of 300,000 nodes stays in the first-level cache while rows are
// scanned.
//
// Where many of the words have members they are all visited to list and to clear the set.
// Where few have, a summary bitmap over the words and one over those lead to them, so that
// the cost is proportional to the number of members.
type nodeSet struct {
	words []uint32 // bit v%32 of word v/32: v is a member
	rank  []int32  // members before the word; valid for words with members after count
	sum1  []uint64 // bit i: words[i] is not zero
	sum2  []uint64 // bit i: sum1[i] is not zero
	flat  bool     // the summaries are not kept
	size  int      // members; valid after count
}

// reset empties the set and makes room for the ids below n. It is going to get as many
// members as there are draws, at most.
func (s *nodeSet) reset(n, draws int) {
	s.clear()
	nw := (n + 31) / 32
	if len(s.words) < nw {
		s.words = make([]uint32, nw)
		s.rank = make([]int32, nw)
		s.sum1 = make([]uint64, (nw+63)/64)
		s.sum2 = make([]uint64, (len(s.sum1)+63)/64)
	}
	s.flat = len(s.words) <= 4*draws
}

// clear empties the set. Cost O(members), plus a 2^-17th of the ids without flat.
func (s *nodeSet) clear() {
	s.size = 0
	if s.flat {
		clear(s.words)
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
}

// add puts the ids into the set and reports the first one outside 0…n-1, if there is one.
func (s *nodeSet) add(ids []int32, n int) (bad int32, ok bool) {
	for _, v := range ids {
		if uint(uint32(v)) >= uint(n) {
			return v, false
		}
		i, bit := uint32(v)>>5, uint32(1)<<(uint32(v)&31)
		if s.flat {
			s.words[i] |= bit
			continue
		}
		w := s.words[i]
		s.words[i] = w | bit
		if w == 0 {
			s.sum1[i>>6] |= 1 << (i & 63)
			s.sum2[i>>12] |= 1 << (i >> 6 & 63)
		}
	}
	return 0, true
}

// count makes size and rank valid.
func (s *nodeSet) count() {
	k := 0
	if s.flat {
		for i, w := range s.words {
			s.rank[i] = int32(k)
			k += bits.OnesCount32(w)
		}
		s.size = k
		return
	}
	for i := range s.occupied {
		s.rank[i] = int32(k)
		k += bits.OnesCount32(s.words[i])
	}
	s.size = k
}

// occupied yields the words with members according to the summaries, in order.
func (s *nodeSet) occupied(yield func(word int) bool) {
	for i2, b2 := range s.sum2 {
		for ; b2 != 0; b2 &= b2 - 1 {
			i1 := i2<<6 + bits.TrailingZeros64(b2)
			for b1 := s.sum1[i1]; b1 != 0; b1 &= b1 - 1 {
				if !yield(i1<<6 + bits.TrailingZeros64(b1)) {
					return
				}
			}
		}
	}
}

// extract appends the members to dst in ascending order.
func (s *nodeSet) extract(dst []int32) []int32 {
	if s.flat {
		for i, w := range s.words {
			dst = appendBits(dst, int32(i<<5), w)
		}
		return dst
	}
	for i := range s.occupied {
		dst = appendBits(dst, int32(i<<5), s.words[i])
	}
	return dst
}

func appendBits(dst []int32, first int32, w uint32) []int32 {
	for ; w != 0; w &= w - 1 {
		dst = append(dst, first+int32(bits.TrailingZeros32(w)))
	}
	return dst
}
