package tensortest

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"testing"

	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// quantShapes: short and long rows, more than one block, several groups to a row, one row of many groups.
var quantShapes = []shape{{0, 5, false}, {5, 0, false}, {1, 1, false}, {7, 5, true}, {33, 130, true}, {65, 300, false}, {37, 192, false}, {9, 256, true}, {1, 5000, false}}

// quantCase is one way of encoding a matrix.
type quantCase struct {
	tensor.Quant
	packed, signs, bias, codes bool
}

func (c quantCase) String() string {
	return fmt.Sprintf("bits=%d/group=%d/packed=%t/signs=%t/bias=%t/codes=%t/act=%d", c.Bits, c.Group, c.packed, c.signs, c.bias, c.codes, c.Act)
}

func quantCases() []quantCase {
	key := tensor.RandKey{Seed: 5, Step: 1 << 33, Layer: 2, Slot: 1 << 31}
	var cs []quantCase
	for _, bits := range []int{1, 2, 4, 8} {
		for _, group := range []int{0, 48, 64, 128, 1000} {
			for _, packed := range []bool{false, true} {
				h := tensor.Quant{Bits: bits, Group: group, Key: key}
				cs = append(cs, quantCase{h, packed, false, false, true})
				h.Act = tensor.ReLU
				cs = append(cs, quantCase{h, packed, true, true, true}, quantCase{h, packed, true, false, true})
				h.Act = tensor.LeakyReLU
				cs = append(cs, quantCase{h, packed, true, true, true})
			}
		}
	}
	return append(cs, quantCase{tensor.Quant{Act: tensor.ReLU}, false, true, true, false}, quantCase{tensor.Quant{}, false, true, false, false})
}

// runQuant checks the operations of compressed activations, where the device has them.
func runQuant(t *testing.T, open tensor.Opener, slow bool) {
	e := newEnv(t, open, tensor.Options{})
	if _, ok := e.q.(tensor.QuantOps); !ok {
		t.Skip("this device has no operations for codes")
	}
	for _, s := range quantShapes {
		for i, c := range quantCases() {
			if slow && s.rows*s.cols > 2000 && i%9 != 0 {
				continue
			}
			t.Run(s.String()+"/"+c.String(), func(t *testing.T) {
				e.TB = t
				newQuantRun(e, s, c).check()
				e.a.Reset()
			})
		}
	}
	e.TB = t
	e.quantErrors()
	e.signs()
	e.madeRows()
	if slow {
		quantThreads(t, open, shape{30, 140, true}, threadsOf(slow))
		return
	}
	quantThreads(t, open, shape{300, 140, true}, threadsOf(slow))
}

// quantRun is one encoding and what it gave.
type quantRun struct {
	*env
	c                   quantCase
	ops                 tensor.QuantOps
	x, bias, y          *operand
	signs, codes, stats tensor.Tensor
	odd                 int // codes that are not those of the definition
}

func newQuantRun(e *env, s shape, c quantCase) *quantRun {
	e.Helper()
	r := &quantRun{env: e, c: c, ops: e.q.(tensor.QuantOps), x: e.normal(s), y: e.undefined(s)}
	if c.bias {
		r.bias = e.normal(s.row())
	}
	if c.signs {
		r.signs = e.a.Alloc(tensor.U8, s.rows, tensor.SignBytes(s.cols))
	}
	if c.codes {
		groups, _ := c.Groups(s.rows, s.cols)
		r.codes = e.a.Alloc(tensor.U8, 1, c.CodeBytes(s.rows, s.cols))
		if c.packed {
			r.stats = e.a.Alloc(tensor.I32, groups, 1)
		} else {
			r.stats = e.a.Alloc(tensor.F32, groups, 2)
		}
	}
	r.ops.Quantize(c.Quant, tensorOf(r.bias), r.x.Tensor, r.signs, r.codes, r.stats)
	r.ops.Dequantize(c.Quant, tensorOf(r.bias), r.signs, r.codes, r.stats, r.y.Tensor)
	e.sync()
	return r
}

// bytesIn returns the bytes of a tensor, nil if it is absent.
func (e *env) bytesIn(t tensor.Tensor) []byte {
	if !t.Present() {
		return nil
	}
	b := make([]byte, t.Bytes())
	e.q.Download(t, b)
	e.sync()
	return b
}

// word returns number i of the 32-bit numbers of b.
func word(b []byte, i int) uint32 {
	return uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24
}

// argument returns element i of x + bias, counted row after row.
func (r *quantRun) argument(i int) float32 {
	v := float32(r.x.ref[i])
	if r.bias != nil {
		v += float32(r.bias.ref[i%r.x.Cols])
	}
	return v
}

// encoded returns what element i has a code of.
func (r *quantRun) encoded(i int) float32 {
	v := r.argument(i)
	if r.c.signs && r.c.Act == tensor.ReLU {
		v = max(v, 0)
	}
	return v
}

func (r *quantRun) check() {
	r.Helper()
	r.x.unchanged("x")
	got, signs := r.y.get(), r.bytesIn(r.signs)
	var want []float32
	if r.c.codes {
		want = r.checkCodes()
	}
	for i, g := range got {
		v, b := float32(g), float32(0)
		if r.bias != nil {
			b = float32(r.bias.ref[i%r.x.Cols])
		}
		if r.c.signs {
			on := r.argument(i) > 0
			if bit := signs[i/r.x.Cols*tensor.SignBytes(r.x.Cols)+i%r.x.Cols/8]>>(i%r.x.Cols%8)&1 != 0; bit != on {
				r.Fatalf("sign of element %d (%g) = %t", i, r.argument(i), bit)
			}
			if (v+b > 0) != on {
				r.Fatalf("element %d, %g with bias %g, came back as %g: another sign", i, r.x.ref[i], b, v)
			}
		}
		if r.c.codes && (!r.c.signs || (want[i] > 0) == (v+b > 0)) && !near(float64(v+b), float64(want[i]), 1e-5*(1+math.Abs(float64(want[i])))) {
			r.Fatalf("element %d came back as %g with bias %g, want %g together", i, v, b, want[i])
		}
	}
}

// checkCodes compares statistics and codes with their definition and returns the values that
// the codes stand for.
func (r *quantRun) checkCodes() []float32 {
	r.Helper()
	codes, stats := r.bytesIn(r.codes), r.bytesIn(r.stats)
	groups, width := r.c.Groups(r.x.Rows, r.x.Cols)
	values := make([]float32, r.x.Rows*r.x.Cols)
	off := 0
	for g := range groups {
		lo, hi := g*width, min((g+1)*width, len(values))
		zero, step := math.Float32frombits(word(stats, min(g, len(stats)/4-1))<<16), math.Float32frombits(word(stats, min(g, len(stats)/4-1))&0xFFFF0000)
		if !r.c.packed {
			zero, step = math.Float32frombits(word(stats, 2*g)), math.Float32frombits(word(stats, 2*g+1))
		}
		off += r.checkGroup(g, lo, hi, width, zero, step, codes[off:], values)
	}
	if 1000*r.odd > len(values) {
		r.Fatalf("%d of %d codes are not those of the definition", r.odd, len(values))
	}
	return values
}

// checkGroup returns the bytes of the group's codes.
func (r *quantRun) checkGroup(g, lo, hi, width int, zero, step float32, codes []byte, values []float32) int {
	r.Helper()
	each, n := r.c.Bits, hi-lo
	per := 8 / each
	top := float32(int(1)<<each - 1)
	off := 0
	for i := range n {
		block := i / (16 * per)
		size := min(16, (min(n-block*16*per, 16*per)*each+7)/8)
		at := i - block*16*per
		code := codes[block*16+at%size] >> (at / size * each) & byte(int(1)<<each-1)
		off = block*16 + size
		v := r.encoded(lo + i)
		if v < zero || v > zero+top*step*(1+1e-6)+1e-6 {
			r.Fatalf("element %d, %g, lies outside of its group's [%g, %g]", lo+i, v, zero, zero+top*step)
		}
		values[lo+i] = zero + float32(code)*step
		if want := r.code(g, width, block*per+at/size, at%size, v, zero, step, top); int(code) != want {
			// A device may round (v-zero)/step differently.
			if d := math.Abs(float64(values[lo+i] - v)); d > float64(step)*(1+1e-4) {
				r.Fatalf("code of element %d, %g, = %d, want %d", lo+i, v, code, want)
			}
			r.odd++
		}
	}
	return off
}

// code returns the code of a value by definition.
func (r *quantRun) code(g, width, vector, lane int, v, zero, step, top float32) int {
	var w [1]uint32
	k := r.c.Key
	philox.Words(philox.Key(k.Seed, k.Step, k.Layer, k.Slot), uint64(32*g*((width+127)/128)+16*(vector/4)+lane), w[:])
	u := bits.RotateLeft32(w[0], -8*(vector%4)) & 0xFFFF
	if step == 0 {
		return 0
	}
	scaled := math.RoundToEven(math.Min(float64((v-zero)*min(65536/step, math.MaxFloat32)), float64(top*65536)))
	return (int(scaled) + int(u)) >> 16
}

// signs checks random signs.
func (e *env) signs() {
	e.Helper()
	key := tensor.RandKey{Seed: 3, Step: 4, Layer: 5, Slot: 6}
	for _, s := range []shape{{0, 3, false}, {1, 1, false}, {37, 45, true}, {3, 2000, false}, {1, 40000, false}} {
		o := e.undefined(s)
		e.q.(tensor.QuantOps).Signs(key, 0.25, o.Tensor)
		words := make([]uint32, (s.rows*s.cols+31)/32)
		philox.Words(philox.Key(key.Seed, key.Step, key.Layer, key.Slot), 0, words)
		o.is("Signs", func(i, j int) float64 {
			if k := i*s.cols + j; words[k/32]>>(k%32)&1 != 0 {
				return -0.25
			}
			return 0.25
		}, exact)
	}
}

// quantErrors gives the operations operands of wrong shapes.
func (e *env) quantErrors() {
	e.Helper()
	h := tensor.Quant{Bits: 2}
	q := e.q.(tensor.QuantOps)
	x, row, short := e.normal(shape{3, 20, false}).Tensor, e.normal(shape{1, 20, false}).Tensor, e.normal(shape{1, 3, false}).Tensor
	codes, stats, signs := e.a.Alloc(tensor.U8, 1, 15), e.a.Alloc(tensor.I32, 3, 1), e.a.Alloc(tensor.U8, 3, 3)
	var none tensor.Tensor
	for _, c := range []struct {
		name string
		call func()
	}{
		{"bits", func() { q.Quantize(tensor.Quant{Bits: 3}, none, x, none, codes, stats) }},
		{"codes", func() { q.Quantize(tensor.Quant{Bits: 4}, none, x, none, codes, stats) }},
		{"statistics", func() { q.Quantize(h, none, x, none, codes, stats.RowRange(0, 2)) }},
		{"codes without statistics", func() { q.Quantize(h, none, x, none, codes, none) }},
		{"bias without signs", func() { q.Quantize(h, row, x, none, codes, stats) }},
		{"bias", func() { q.Quantize(h, short, x, signs, codes, stats) }},
		{"signs", func() { q.Dequantize(h, row, codes, codes, stats, x) }},
		{"type", func() { q.Dequantize(h, none, none, codes, stats, signs) }},
	} {
		if !shapeError(c.call) {
			e.Errorf("%s: no panic with a *tensor.ShapeError", c.name)
		}
	}
}

// quantThreads compares bits between numbers of threads.
func quantThreads(t *testing.T, open tensor.Opener, s shape, counts []int) {
	var want [][]byte
	for _, threads := range counts {
		e := newEnv(t, open, tensor.Options{Threads: threads})
		i := 0
		for _, c := range quantCases() {
			r := newQuantRun(e, s, c)
			for _, out := range [][]byte{e.bytesIn(r.signs), e.bytesIn(r.codes), e.bytesIn(r.stats), r.y.raw()} {
				if threads == 1 {
					want = append(want, out)
				} else if !bytes.Equal(out, want[i]) {
					t.Errorf("%s: output %d differs between 1 and %d threads", c, i%4, threads)
				}
				i++
			}
			e.a.Reset()
		}
	}
}

// madeRows compares operations on matrices whose rows they make themselves with the same on
// matrices that were written out.
func (e *env) madeRows() {
	e.Helper()
	ops, ok := e.q.(tensor.RowOps)
	if !ok {
		return
	}
	var made tensor.Tensor // which the next uses again
	for _, s := range []shape{{1, 1, false}, {70, 37, false}, {300, 128, true}} {
		for _, bits := range []int{1, 2, 8} {
			for _, signs := range []bool{false, true} {
				r := newQuantRun(e, s, quantCase{tensor.Quant{Bits: bits, Key: tensor.RandKey{Seed: 1}, Act: tensor.ReLU}, true, signs, signs, true})
				ops.Decoded(r.c.Quant, tensorOf(r.bias), r.signs, r.codes, r.stats, s.rows, s.cols, &made)
				e.sameProducts(fmt.Sprintf("Decoded %d bits, signs %t", bits, signs), made, r.y.Tensor, tensorOf(r.bias))
			}
		}
		for _, drop := range []tensor.Drop{{}, {P: 0.3, Key: tensor.RandKey{Seed: 2}, Width: s.cols}} {
			src, idx, dst := e.normal(shape{9, s.cols, s.strided}), e.i32(shape{s.rows, 1, false}, func(i int) float64 { return float64(i * 5 % 9) }), e.undefined(shape{s.rows, s.cols, false})
			e.q.GatherRows(src.Tensor, idx.Tensor, drop, dst.Tensor)
			ops.Gathered(src.Tensor, idx.Tensor, drop, &made)
			e.sameProducts("Gathered", made, dst.Tensor, tensor.Tensor{})
		}
		e.a.Reset()
	}
}

// sameProducts does what operations may do with made to it and to whole.
func (e *env) sameProducts(what string, made, whole, bias tensor.Tensor) {
	e.Helper()
	if made.Rows != whole.Rows || made.Cols != whole.Cols {
		e.Fatalf("%s is %s, want %s", what, made, whole)
	}
	var none tensor.Tensor
	d := e.normal(shape{whole.Rows, 40, false}).Tensor
	dy := e.normal(shape{whole.Rows, whole.Cols, false}).Tensor
	var got [2][][]byte
	for i, x := range []tensor.Tensor{made, whole} {
		dw, dx, y := e.a.Alloc(tensor.F32, whole.Cols, 40), e.a.Alloc(tensor.F32, whole.Rows, whole.Cols), e.a.Alloc(tensor.F32, whole.Rows, whole.Cols)
		db := none
		if bias.Present() {
			db = e.a.Alloc(tensor.F32, 1, whole.Cols)
			e.q.Fill(0, db)
		}
		e.q.Gemm(true, false, 0.5, x, d, 0, dw)
		e.q.BiasActNorm(tensor.ReLU, bias, none, none, x, tensor.Drop{}, y, none, none)
		e.q.BiasActNormBackward(tensor.ReLU, bias, none, none, none, x, dy, tensor.Drop{}, dx, db, none, none)
		for _, t := range []tensor.Tensor{dw, dx, y, db} {
			got[i] = append(got[i], e.bytesIn(t))
		}
	}
	names := []string{"Gemm", "BiasActNormBackward", "BiasActNorm", "dbias"}
	if _, ok := e.q.(tensor.UnitRowOps); ok {
		names = append(names, "NormalizeRowsBackward")
		length := e.normal(shape{whole.Rows, 1, false}).Tensor
		for i, x := range []tensor.Tensor{made, whole} {
			dx := e.a.Alloc(tensor.F32, whole.Rows, whole.Cols)
			e.q.NormalizeRowsBackward(dy, x, length, dx)
			got[i] = append(got[i], e.bytesIn(dx))
		}
	}
	for i, name := range names {
		if !bytes.Equal(got[0][i], got[1][i]) {
			e.Errorf("%s of %s gives other bits than with the matrix written out", name, what)
		}
	}
}
