// Package philox is the counter-based generator Philox4x32-10 of Salmon, Moraes, Dror and
// Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). A word is a pure function
// of a key and an index: any device can compute any part of a stream in any order, so a
// dropout mask need not be stored.
package philox

import "math"

// Constants of the paper: the multipliers and the Weyl increments of the key.
const (
	mul0  = 0xD2511F53
	mul1  = 0xCD9E8D57
	weyl0 = 0x9E3779B9
	weyl1 = 0xBB67AE85
)

// Block returns the four words that counter (c0,c1,c2,c3) gives under key (k0,k1).
func Block(c0, c1, c2, c3, k0, k1 uint32) (w0, w1, w2, w3 uint32) {
	for range 10 {
		p0 := uint64(c0) * mul0
		p1 := uint64(c2) * mul1
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += weyl0
		k1 += weyl1
	}
	return c0, c1, c2, c3
}

// Words sets dst[j] to word number first+j of the stream of key: word i is word i%4 of the
// block whose counter is (low half of i/4, high half of i/4, 0, 0) under the key
// (low half of key, high half of key).
func Words(key, first uint64, dst []uint32) {
	k0, k1 := uint32(key), uint32(key>>32)
	ctr := first / 4
	if skip := first % 4; skip != 0 {
		var w [4]uint32
		w[0], w[1], w[2], w[3] = Block(uint32(ctr), uint32(ctr>>32), 0, 0, k0, k1)
		dst = dst[copy(dst, w[skip:]):]
		ctr++
	}
	n := blocks(key, ctr, dst)
	dst, ctr = dst[n:], ctr+uint64(n/4)
	for ; len(dst) >= 4; dst = dst[4:] {
		dst[0], dst[1], dst[2], dst[3] = Block(uint32(ctr), uint32(ctr>>32), 0, 0, k0, k1)
		ctr++
	}
	if len(dst) > 0 {
		var w [4]uint32
		w[0], w[1], w[2], w[3] = Block(uint32(ctr), uint32(ctr>>32), 0, 0, k0, k1)
		copy(dst, w[:])
	}
}

// Drop is dropout without a mask in memory: y[j] = x[j]*scale where word number first+j of the
// stream of key is at least threshold (see Threshold), else 0. y may be x; both must have the
// same length.
func Drop(key, first, threshold uint64, scale float32, x, y []float32) {
	y = y[:len(x)]
	if threshold > math.MaxUint32 {
		clear(y)
		return
	}
	t := uint32(threshold)
	if skip := first % 4; skip != 0 {
		n := min(len(x), int(4-skip))
		dropBlock(key, first/4, t, scale, x[:n], y[:n], int(skip))
		x, y, first = x[n:], y[n:], first+uint64(n)
	}
	ctr := first / 4
	n := drops(key, ctr, t, scale, x, y)
	x, y, ctr = x[n:], y[n:], ctr+uint64(n/4)
	if len(x) > 4 { // many blocks at once take little longer than one
		var from, to [32]float32
		copy(from[:], x)
		if drops(key, ctr, t, scale, from[:], to[:]) >= len(x) {
			copy(y, to[:])
			return
		}
	}
	for ; len(x) > 0; ctr++ {
		n := min(len(x), 4)
		dropBlock(key, ctr, t, scale, x[:n], y[:n], 0)
		x, y = x[n:], y[n:]
	}
}

// DropKept is Drop that remembers: bit j%16 of kept[j/16] becomes 1 where element j is kept, so
// that Apply can do the same again without drawing. first is a multiple of 4; kept holds a
// sixteenth, rounded up.
func DropKept(key, first, threshold uint64, scale float32, x, y []float32, kept []uint16) {
	y, kept = y[:len(x)], kept[:(len(x)+15)/16]
	if first%4 != 0 {
		panic("philox: DropKept from within a block")
	}
	if threshold > math.MaxUint32 {
		clear(y)
		clear(kept)
		return
	}
	n := dropsKept(key, first/4, uint32(threshold), scale, x, y, kept)
	x, y, kept, first = x[n:], y[n:], kept[n/16:], first+uint64(n)
	if len(x) == 0 {
		return
	}
	if len(x) <= 32 { // a whole round takes little longer than a part of it
		var from, to [32]float32
		var bits [2]uint16
		copy(from[:], x)
		if dropsKept(key, first/4, uint32(threshold), scale, from[:], to[:], bits[:]) == len(to) {
			copy(y, to[:])
			copy(kept, bits[:])
			return
		}
	}
	for i := range kept {
		var w [16]uint32
		Words(key, first+uint64(16*i), w[:])
		bits := uint16(0)
		for j, v := range w {
			if uint64(v) >= threshold {
				bits |= 1 << j
			}
		}
		kept[i] = bits
	}
	applyGo(kept, scale, x, y)
}

// Apply computes y[j] = x[j]*scale where bit j%16 of kept[j/16] is 1, else 0. y may be x; the
// lengths are as for DropKept.
func Apply(kept []uint16, scale float32, x, y []float32) {
	y, kept = y[:len(x)], kept[:(len(x)+15)/16]
	n := applies(kept, scale, x, y)
	applyGo(kept[n/16:], scale, x[n:], y[n:])
}

func applyGo(kept []uint16, scale float32, x, y []float32) {
	for i, bits := range kept {
		n := min(16, len(x)-16*i)
		from, to := x[16*i:][:n], y[16*i:][:n]
		for j, v := range from {
			m := -uint32(bits >> j & 1)
			to[j] = math.Float32frombits(math.Float32bits(v*scale) & m)
		}
	}
}

// dropBlock does the elements of block ctr from its word number skip on.
func dropBlock(key, ctr uint64, threshold uint32, scale float32, x, y []float32, skip int) {
	var w [4]uint32
	w[0], w[1], w[2], w[3] = Block(uint32(ctr), uint32(ctr>>32), 0, 0, uint32(key), uint32(key>>32))
	for i, v := range x {
		m := uint32((int64(w[skip+i]) - int64(threshold)) >> 63) // all ones where dropped
		y[i] = math.Float32frombits(math.Float32bits(v*scale) &^ m)
	}
}

// Key folds the name of a stream into the 64 bits that a generator needs:
//
//	k = mix(seed); k = mix(k ^ step); k = mix(k ^ (layer<<32 | slot))
//
// with mix(z) the output function of SplitMix64 at state z, that is z += 0x9E3779B97F4A7C15
// followed by two xor-shift multiplications and a last xor-shift. Each step is a bijection,
// so streams that differ in one number only never share a key.
func Key(seed, step uint64, layer, slot uint32) uint64 {
	return mix(mix(mix(seed)^step) ^ (uint64(layer)<<32 | uint64(slot)))
}

func mix(z uint64) uint64 {
	z += 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Threshold returns the least word number t so that a word w satisfies w >= p*2^32 exactly
// if uint64(w) >= t. p outside [0,1] is clamped.
func Threshold(p float32) uint64 {
	if !(p > 0) {
		return 0
	}
	if p >= 1 {
		return 1 << 32
	}
	x := float64(p) * (1 << 32) // exact: a float32 times a power of two
	t := uint64(x)
	if float64(t) < x {
		t++
	}
	return t
}

// Edge returns the word of head k of the edge u<-v under key: word k%4 of the block whose counter
// is (u, v, k/4, 0), so that passes over a matrix and its transpose see the same.
func Edge(key uint64, u, v, k uint32) uint32 {
	w0, w1, w2, w3 := Block(u, v, k/4, 0, uint32(key), uint32(key>>32))
	return [4]uint32{w0, w1, w2, w3}[k%4]
}
