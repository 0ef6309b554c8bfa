// Package quant packs runs of float32 into codes of 1, 2, 4 or 8 bits and back, and signs into
// single bits. Layout and random numbers are those of QuantOps of trainer/tensor.
//
// Statistics are the caller's. Portable loops and assembly return the same bits.
package quant

import (
	"math"
	mathbits "math/bits"

	"github.com/saint-gnn/saint/internal/philox"
)

// lanes is the number of values that share a bit position of a block, and of its bytes.
const lanes = 16

// One is the number of u's steps in a step of the codes.
const One = 1 << 16

// Words returns how many words of the random stream a run of n values takes.
func Words(n int) uint64 { return 32 * uint64((n+127)/128) }

// Bytes returns the bytes of n codes.
func Bytes(bits, n int) int { return (n*bits + 7) / 8 }

// Range returns the least and the largest value of x, 0 and 0 if there is none. NaN has no
// say or the last word.
func Range(x []float32) (lo, hi float32) {
	if len(x) == 0 {
		return 0, 0
	}
	lo, hi = float32(math.Inf(1)), float32(math.Inf(-1))
	n := rangeASM(x, &lo, &hi)
	for _, v := range x[n:] {
		lo, hi = least(lo, v), largest(hi, v)
	}
	return plain(lo), plain(hi)
}

// plain turns -0 into 0: which of them a loop finds depends on its order.
func plain(v float32) float32 {
	if v == 0 {
		return 0
	}
	return v
}

func least(a, b float32) float32 {
	if b < a {
		return b
	}
	return a
}

func largest(a, b float32) float32 {
	if b > a {
		return b
	}
	return a
}

// Stage computes y = x + bias, with positive set max(x+bias, 0), sets bit j%8 of signs[j/8]
// where x[j]+bias[j] > 0, and returns the least and the largest y. bias and y are as long as x,
// signs has a bit for each, rounded up to bytes.
func Stage(x, bias []float32, positive bool, y []float32, signs []byte) (lo, hi float32) {
	bias, y = bias[:len(x)], y[:len(x)]
	if len(x) == 0 {
		return 0, 0
	}
	floor := float32(math.Inf(-1))
	if positive {
		floor = 0
	}
	lo, hi = float32(math.Inf(1)), float32(math.Inf(-1))
	n := stageASM(x, bias, floor, y, signs, &lo, &hi)
	for j := n; j < len(x); j++ {
		v := x[j] + bias[j]
		if j%8 == 0 {
			signs[j/8] = 0
		}
		if v > 0 {
			signs[j/8] |= 1 << (j % 8)
		}
		v = largest(floor, v)
		y[j] = v
		lo, hi = least(lo, v), largest(hi, v)
	}
	return plain(lo), plain(hi)
}

// Unstage undoes Stage as far as it can be: x, which holds what Unpack made of y, becomes
// x - bias, changed just enough for x + bias to be above 0 or not as the signs say. above holds what
// Above says of bias.
func Unstage(bias, above []float32, signs []byte, x []float32) {
	bias, above = bias[:len(x)], above[:len(x)]
	n := unstageASM(bias, above, signs, x)
	for j := n; j < len(x); j++ {
		b := bias[j]
		v := x[j] - b
		on := signs[j/8]>>(j%8)&1 != 0
		if on != (v+b > 0) {
			v = -b
			if on {
				v = above[j]
			}
		}
		x[j] = v
	}
}

// Constants of Above: a share of b that its last bit cannot swallow, and what is left for 0.
const (
	nudge = 0x1p-20
	tiny  = 1e-30
)

// Above sets dst to values a little above those of -bias.
func Above(bias, dst []float32) {
	dst = dst[:len(bias)]
	for j, b := range bias {
		a := math.Float32frombits(math.Float32bits(b) &^ (1 << 31))
		dst[j] = float32(float32(a*nudge)+tiny) - b
	}
}

// Pack writes the codes of x to dst (Bytes(bits, len(x)) long): floor((x-zero) inv / One + u),
// no more than the largest code, with inv = One/step and u from the words of key's stream from
// number word on, a multiple of 32.
func Pack(bits int, zero, inv float32, key, word uint64, x []float32, dst []byte) {
	whole := len(x) / Unit * Unit
	if whole > 0 {
		pack(bits, []float32{zero}, []float32{inv}, key, word, x[:whole], Soon{}, dst)
		dst = dst[whole*bits/8:]
		word += Words(whole)
	}
	if whole == len(x) {
		return
	}
	// The rest is arranged as the blocks it would fill, so that one loop serves all.
	var padded [Unit]float32
	var codes [Unit]byte
	for i := range padded {
		padded[i] = zero // so that bits that hold no code are 0
	}
	arrange(bits, x[whole:], &padded)
	pack(bits, []float32{zero}, []float32{inv}, key, word, padded[:], Soon{}, codes[:])
	copy(dst, codes[:len(dst)])
}

// Unit is how many values share words, and a round of any kernel does.
const Unit = 128

// PackAll is Pack of runs that follow one another in x and dst and have statistics of their own:
// zero and inv of each 128 values. All runs are multiples of 128 values long.
func PackAll(bits int, zero, inv []float32, key, word uint64, x []float32, soon Soon, dst []byte) {
	if len(x) > 0 {
		pack(bits, zero[:len(x)/Unit], inv[:len(x)/Unit], key, word, x, soon, dst)
	}
}

// Soon is what kernels ask for while they compute, so that it is in the cache afterwards: rows of Cols
// values from X[0] on, Stride apart, as many values as the kernel does. Less than that may be in X.
type Soon struct {
	X            []float32
	Cols, Stride int
}

// of returns the operands of a kernel: what comes soon, else x itself, which it reads anyway.
func (s *Soon) of(x []float32) (ahead *float32, units, jump int) {
	if len(s.X) == 0 {
		return &x[0], len(x), 0
	}
	units = max(1, s.Cols/Unit)
	return &s.X[0], units, 4 * (s.Stride - units*Unit)
}

// arrange copies x, the last values of a run, to where they stand in whole blocks: a shorter
// last block has fewer lanes.
func arrange(bits int, x []float32, padded *[128]float32) {
	full, n := rest(bits, len(x))
	copy(padded[:], x[:full])
	for i, x := full, x[full:]; len(x) > 0; i += lanes {
		x = x[copy(padded[i:i+n], x):]
	}
}

// rest returns how many of n values fill whole blocks, and the bytes of the block after them.
func rest(bits, n int) (full, bytes int) {
	block := lanes * 8 / bits
	full = n / block * block
	return full, Bytes(bits, n-full)
}

// Unpack sets x to zero + code step, from the codes that Pack wrote.
func Unpack(bits int, zero, step float32, src []byte, x []float32) {
	whole := len(x) / Unit * Unit
	if whole > 0 {
		unpack(bits, zero, step, src, x[:whole])
		src, x = src[whole*bits/8:], x[whole:]
	}
	if len(x) == 0 {
		return
	}
	var padded [Unit]float32
	var codes [Unit]byte
	copy(codes[:], src[:Bytes(bits, len(x))])
	unpack(bits, zero, step, codes[:Unit*bits/8], padded[:])
	full, n := rest(bits, len(x))
	copy(x[:full], padded[:])
	for i, x := full, x[full:]; len(x) > 0; i += lanes {
		x = x[copy(x[:min(n, len(x))], padded[i:]):]
	}
}

// packGo is Pack for whole units.
func packGo(bits int, zeros, invs []float32, key, word uint64, x []float32, dst []byte) {
	var words [32]uint32
	per := 8 / bits
	limit := uint32(1<<bits-1) * One
	for len(x) > 0 {
		zero, inv := zeros[0], invs[0]
		if len(zeros) > 1 {
			zeros, invs = zeros[1:], invs[1:]
		}
		philox.Words(key, word, words[:])
		clear(dst[:16*bits])
		for v := range 8 { // vectors of 16 lanes
			out := dst[v/per*lanes:]
			for i := range lanes {
				u := mathbits.RotateLeft32(words[v/4*lanes+i], -8*(v%4))
				t := min(fixed((x[v*lanes+i]-zero)*inv), limit) + u&(One-1)
				out[i] |= byte(t >> 16 << (v % per * bits))
			}
		}
		x, dst, word = x[128:], dst[16*bits:], word+32
	}
}

// fixed rounds to the nearest whole number, as the processor's conversion does: what does not
// fit becomes the largest.
func fixed(v float32) uint32 {
	r := math.RoundToEven(float64(v))
	if r >= math.MinInt32 && r <= math.MaxInt32 {
		return uint32(int32(r))
	}
	return 1 << 31
}

// unpackGo is Unpack for whole units.
func unpackGo(bits int, zero, step float32, src []byte, x []float32) {
	per := 8 / bits
	mask := byte(1<<bits - 1)
	for v := range len(x) / lanes {
		in, out := src[v/per*lanes:][:lanes], x[v*lanes:][:lanes]
		for i, b := range in {
			out[i] = float32(float32(b>>(v%per*bits)&mask)*step) + zero
		}
	}
}
