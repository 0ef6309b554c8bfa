package actmem_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// For all bits, groups and statistics, every value that comes back has what was saved as its mean, to
// 5 standard errors, and a variance of at most a quarter of the squared step of its group. That step
// is the range of the group over 2^b-1 and, with statistics in bfloat16, what rounding them outward adds.
func TestExactVariance(t *testing.T) {
	draws := 1500
	if testing.Short() {
		draws = 300
	}
	for _, bits := range []int{1, 2, 4, 8} {
		for _, group := range []int{0, 8, 20, 64, 100, 1000} {
			for _, full := range []bool{false, true} {
				c := actmem.Config{Bits: bits, Group: group, FullStats: full}
				t.Run(fmt.Sprintf("%d bits, groups of %d, full statistics %t", bits, group, full), func(t *testing.T) {
					testVariance(t, c, nn.Factor, draws)
					testVariance(t, c, nn.Activation, draws)
				})
			}
		}
	}
}

const lawRows, lawCols = 6, 40

// lawValue gives rows of different sizes, far from 0 and around it.
func lawValue(i int) float32 {
	row := float64(i / lawCols)
	return float32((1+row)*math.Sin(float64(i)*1.7) + 0.7*row*row - 2)
}

func testVariance(t *testing.T, c actmem.Config, kind nn.SaveKind, draws int) {
	t.Helper()
	k := newBench(t, c)
	x := k.matrix(lawRows, lawCols, lawValue)
	if k.s.Put(nn.Key{}, x, kind); k.s.Held(nil)[0].Form == "as it is" {
		k.s.Reset() // small groups of many bits would not shrink
		return
	}
	k.s.Reset()
	const n = lawRows * lawCols
	sum, squares := make([]float64, n), make([]float64, n)
	for step := range draws {
		k.s.Begin(5, uint64(step))
		k.s.Put(nn.Key{}, x, kind)
		for i, v := range k.take(nn.Key{}) {
			d := float64(v) - float64(lawValue(i))
			sum[i] += d
			squares[i] += d * d
		}
	}
	size := c.Group
	if size == 0 || kind != nn.Factor && lawCols%size != 0 {
		size = lawCols // whole rows
	}
	for lo := 0; lo < n; lo += size {
		hi := min(lo+size, n)
		step := lawStep(c, lo, hi)
		for i := lo; i < hi; i++ {
			mean, variance := sum[i]/float64(draws), squares[i]/float64(draws)
			if most := step*step/4*(1+5/math.Sqrt(float64(draws))) + 1e-9; variance > most {
				t.Errorf("%+v, kind %d: the variance of element %d is %g, want at most %g", c, kind, i, variance, most)
			}
			// Of a value next to a code the rare draws may all be missing; then its mean tells of them.
			se := math.Sqrt((variance + math.Abs(mean)*step) / float64(draws))
			if math.Abs(mean) > 5*se+1e-5*step+1e-6 {
				t.Errorf("%+v, kind %d: the mean of element %d is off by %g, more than 5 standard errors of %g", c, kind, i, mean, se)
			}
		}
	}
}

// lawStep returns the step of the group of elements lo to hi-1.
func lawStep(c actmem.Config, lo, hi int) float64 {
	least, largest := math.Inf(1), math.Inf(-1)
	for i := lo; i < hi; i++ {
		least, largest = min(least, float64(lawValue(i))), max(largest, float64(lawValue(i)))
	}
	levels := math.Exp2(float64(c.Bits)) - 1
	if c.FullStats {
		return (largest - least) / levels * (1 + 1e-5)
	}
	zero := bfloat16Below(least)
	return -bfloat16Below(-(largest - zero) / levels)
}

// bfloat16Below returns the largest number of 8 significant bits that is not above v.
func bfloat16Below(v float64) float64 {
	if v == 0 {
		return 0
	}
	frac, exp := math.Frexp(v)
	return math.Ldexp(math.Floor(frac*256), exp-8)
}

// What a batch brings is referred to: nothing is copied and nothing counts, whatever the bits.
func TestExactRefersToInputs(t *testing.T) {
	for _, c := range []actmem.Config{{Bits: 1}, {Bits: 8, Kept: 0.5}, {Kept: 0.25}, {Bits: tensor.BF16Bits}} {
		k := newBench(t, c)
		x := k.other.Alloc(tensor.F32, 100, 64)
		copy(cpu.F32(x), []float32{1, 2, 3})
		for slot, kind := range []nn.SaveKind{nn.Activation, nn.Factor, nn.Exact} {
			k.s.Put(nn.Key{Slot: slot}, x, kind)
		}
		if k.s.Bytes() != 0 || k.a.Live() != 0 {
			t.Errorf("%+v: a batch's input takes %d bytes in %d tensors, want none", c, k.s.Bytes(), k.a.Live())
		}
		for slot := range 3 {
			if got := k.s.Get(nn.Key{Slot: slot}); got != x {
				t.Errorf("%+v: Get(%d) = %v, want the input itself", c, slot, got)
			}
		}
	}
}

// Heads that have norms of their own have statistics of their own: a head next to nothing comes back
// as small beside one that is large.
func TestExactHeads(t *testing.T) {
	const rows, cols, head = 5, 48, 16
	values := func(i int) float32 { return wave(i) * float32(math.Pow(1e-3, float64(i%cols/head))) }
	for _, bits := range []int{1, 2, 4, 8} {
		for _, group := range []int{0, 8, 64} {
			for _, act := range []tensor.Act{tensor.Identity, tensor.LeakyReLU} {
				k := newBench(t, actmem.Config{Bits: bits, Group: group})
				x := k.matrix(rows, cols, values)
				k.s.PutActivated(nn.Key{}, x, nn.Activated{Act: act, Values: true, Group: head})
				for i, v := range k.take(nn.Key{}) {
					step := 1.4 * math.Pow(1e-3, float64(i%cols/head)) * 2 / (math.Exp2(float64(bits)) - 1)
					if d := math.Abs(float64(v - values(i))); d > step {
						t.Errorf("%d bits, groups of %d: %g came back as %g, further than a step of its head, %g", bits, group, values(i), v, step)
					}
				}
			}
		}
	}
}

// What is positive of what an activation made comes back positive, and its zeros as zeros; the
// scores beside it come back bit for bit.
func TestExactScored(t *testing.T) {
	const rows, cols, last = 6, 40, 3
	values := func(i int) float32 {
		if v := wave(i); i%cols >= cols-last || v > 0 {
			return v
		}
		return 0
	}
	for _, bits := range []int{1, 2, 8, tensor.BF16Bits} {
		k := newBench(t, actmem.Config{Bits: bits})
		x := k.matrix(rows, cols, values)
		for step := range uint64(20) {
			k.s.Begin(3, step)
			k.s.PutScored(nn.Key{}, x, tensor.ReLU, last)
			for i, v := range k.take(nn.Key{}) {
				want := values(i)
				if scored := i%cols >= cols-last; scored && v != want || !scored && (v > 0) != (want > 0) {
					t.Fatalf("%d bits: element %d = %g came back as %g", bits, i, want, v)
				}
			}
		}
	}
}
