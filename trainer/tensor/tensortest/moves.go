package tensortest

import (
	"bytes"
	"fmt"
	"math"

	"github.com/saint-gnn/saint/internal/philox"
	"github.com/saint-gnn/saint/trainer/tensor"
)

func moveBuilds() []build {
	bs := []build{gatherF32, gatherDrop, gatherBytes, fillCase}
	for _, v := range []struct {
		alpha, beta float32
		broadcast   bool
	}{{1, 0, false}, {2, 0, false}, {1, 1, false}, {-3, 1, false}, {0.5, -3, false}, {1, 1, true}, {2, 0, true}} {
		bs = append(bs, func(e *env, s shape) Case { return axpbyCase(e, s, v.alpha, v.beta, v.broadcast) })
	}
	for _, inPlace := range []bool{false, true} {
		bs = append(bs, func(e *env, s shape) Case { return dropoutCase(e, s, inPlace) })
	}
	return bs
}

func gatherF32(e *env, s shape) Case {
	src := e.normal(shape{2*s.rows + 1, s.cols, s.strided})
	idx := e.i32(s.column(), func(int) float64 { return float64(e.rnd.IntN(2*s.rows + 1)) })
	dst := e.undefined(s)
	return Case{
		Name:  "GatherRows/f32",
		Bytes: size(idx, dst, dst),
		Call:  func() { e.q.GatherRows(src.Tensor, idx.Tensor, tensor.Drop{}, dst.Tensor) },
		outs:  []*operand{dst},
		check: func() {
			dst.is("dst", func(i, j int) float64 { return src.at(int(idx.ref[i]), j) }, exact)
			src.unchanged("src")
		},
	}
}

func gatherDrop(e *env, s shape) Case {
	src := e.normal(shape{2*s.rows + 1, s.cols, s.strided})
	idx := e.i32(s.column(), func(int) float64 { return float64(e.rnd.IntN(2*s.rows + 1)) })
	dst := e.undefined(s)
	drop := someDrop(s)
	return Case{
		Name:  "GatherRows/drop",
		Bytes: size(idx, dst, dst),
		Call:  func() { e.q.GatherRows(src.Tensor, idx.Tensor, drop, dst.Tensor) },
		outs:  []*operand{dst},
		check: func() {
			var want []float64
			for i := range s.rows {
				want = append(want, dropped(drop, i, src.refRow(int(idx.ref[i])))...)
			}
			dst.is("dst", func(i, j int) float64 { return want[i*s.cols+j] }, func(i, j int) float64 { return 1e-6 * math.Abs(src.at(int(idx.ref[i]), j)) })
			src.unchanged("src")
		},
	}
}

func exact(int, int) float64 { return 0 }

func gatherBytes(e *env, s shape) Case {
	src := e.u8(shape{2*s.rows + 1, s.cols, s.strided}, func(int) float64 { return float64(e.rnd.IntN(256)) })
	idx := e.i32(s.column(), func(int) float64 { return float64(e.rnd.IntN(2*s.rows + 1)) })
	dst := e.u8(s, func(int) float64 { return 0 })
	return Case{
		Name:  "GatherRows/u8",
		Bytes: size(idx, dst, dst),
		Call:  func() { e.q.GatherRows(src.Tensor, idx.Tensor, tensor.Drop{}, dst.Tensor) },
		outs:  []*operand{dst},
		check: func() {
			want := make([]byte, 0, s.rows*s.cols)
			for i := range s.rows {
				for j := range s.cols {
					want = append(want, byte(src.at(int(idx.ref[i]), j)))
				}
			}
			if got := dst.raw(); !bytes.Equal(got, want) {
				e.Fatalf("dst = %v, want %v", got, want)
			}
		},
	}
}

func fillCase(e *env, s shape) Case {
	t := e.undefined(s)
	return Case{
		Name:  "Fill",
		Bytes: size(t),
		Call:  func() { e.q.Fill(-1.5, t.Tensor) },
		outs:  []*operand{t},
		check: func() { t.is("t", func(int, int) float64 { return -1.5 }, exact) },
	}
}

func axpbyCase(e *env, s shape, alpha, beta float32, broadcast bool) Case {
	sx := s
	if broadcast {
		sx.rows = 1
	}
	x, y := e.normal(sx), e.destination(s, beta)
	old := y.ref
	return Case{
		Name:  fmt.Sprintf("Axpby/alpha=%g-beta=%g-broadcast=%t", alpha, beta, broadcast),
		Bytes: size(x, y),
		Call:  func() { e.q.Axpby(alpha, x.Tensor, beta, y.Tensor) },
		outs:  []*operand{y},
		check: func() {
			y.is("y", func(i, j int) float64 {
				v := float64(alpha)
				if broadcast {
					v *= x.at(0, j)
				} else {
					v *= x.at(i, j)
				}
				if beta != 0 {
					v += float64(beta) * old[i*s.cols+j]
				}
				return v
			}, func(int, int) float64 { return 1e-5 })
			x.unchanged("x")
		},
	}
}

// kept is the mask that the seam's documentation defines.
func kept(key tensor.RandKey, p float32, i int) bool {
	k := philox.Key(key.Seed, key.Step, key.Layer, key.Slot)
	c := uint64(i / 4)
	var w [4]uint32
	w[0], w[1], w[2], w[3] = philox.Block(uint32(c), uint32(c>>32), 0, 0, uint32(k), uint32(k>>32))
	return float64(w[i%4]) >= float64(p)*(1<<32)
}

func dropoutCase(e *env, s shape, inPlace bool) Case {
	const p = 0.3
	key := tensor.RandKey{Seed: 5, Step: 1 << 33, Layer: 2, Slot: 1}
	x := e.normal(s)
	y := x
	if !inPlace {
		y = e.undefined(s)
	}
	return Case{
		Name:  fmt.Sprintf("Dropout/inplace=%t", inPlace),
		Bytes: size(x, y),
		Call:  func() { e.q.Dropout(p, key, x.Tensor, y.Tensor) },
		outs:  []*operand{y},
		check: func() {
			y.is("y", func(i, j int) float64 {
				if !kept(key, p, i*s.cols+j) {
					return 0
				}
				return x.at(i, j) / (1 - float64(float32(p)))
			}, func(i, j int) float64 { return 1e-6 * math.Abs(x.at(i, j)) })
			if !inPlace {
				x.unchanged("x")
			}
		},
	}
}

// runDropout checks the mask as a random variable and as a function of its key.
func runDropout(e *env) {
	const n, p = 1 << 18, 0.2
	s := shape{n / 64, 64, false}
	ones := e.f32(s, func(int) float64 { return 1 })
	mask := func(p float32, key tensor.RandKey) (m []float64, keptCount int) {
		y := e.undefined(s)
		e.q.Dropout(p, key, ones.Tensor, y.Tensor)
		m = y.get()
		for _, v := range m {
			if v != 0 {
				keptCount++
			}
		}
		return m, keptCount
	}
	base := tensor.RandKey{Seed: 1, Step: 2, Layer: 3, Slot: 4}
	m, count := mask(p, base)
	if sigma := math.Sqrt(n * p * (1 - p)); math.Abs(float64(count)-n*(1-p)) > 5*sigma {
		e.Errorf("rate %g keeps %d of %d, want %g within %g", p, count, n, n*(1-p), 5*sigma)
	}
	if again, _ := mask(p, base); !bytes.Equal(bytesOf(again), bytesOf(m)) {
		e.Error("the same key gave another mask")
	}
	others := [4]tensor.RandKey{base, base, base, base}
	others[0].Seed++
	others[1].Step++
	others[2].Layer++
	others[3].Slot++
	for _, k := range others {
		other, _ := mask(p, k)
		differ := 0
		for i := range m {
			if m[i] != other[i] {
				differ++
			}
		}
		want := 2 * p * (1 - p) * n
		if math.Abs(float64(differ)-want) > 0.02*want {
			e.Errorf("masks of %v and %v differ in %d of %d, want about %.0f", base, k, differ, n, want)
		}
	}
	if _, count := mask(0, base); count != n {
		e.Errorf("rate 0 keeps %d of %d", count, n)
	}
	if _, count := mask(1, base); count != 0 {
		e.Errorf("rate 1 keeps %d, want 0", count)
	}
}
