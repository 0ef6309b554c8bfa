package cpu_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// updateRig has matrices that take several tasks and rows of several chunks, as column ranges
// of wider matrices if it is strided.
type updateRig struct {
	q                            tensor.Queue
	value, grad, m, v, d         tensor.Tensor
	share, weight, out, class, t tensor.Tensor
}

func newUpdateRig(t *testing.T, threads int, strided bool) *updateRig {
	t.Helper()
	const rows, cols = 70, 1300
	b := cpu.Open(tensor.Options{Threads: threads})
	t.Cleanup(func() { b.Close() })
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	a := newArena(t, 1<<26)
	r := rand.New(rand.NewPCG(1, 2))
	matrix := func() tensor.Tensor {
		x := a.Alloc(tensor.F32, rows, cols)
		for i := range cpu.F32(x) {
			cpu.F32(x)[i] = float32(r.NormFloat64())
		}
		if !strided {
			return x
		}
		wide := a.Alloc(tensor.F32, rows, cols+7)
		q.Fill(9, wide)
		part := wide.ColRange(3, 3+cols)
		q.Axpby(1, x, 0, part)
		return part
	}
	u := &updateRig{q: q, value: matrix(), grad: matrix(), m: matrix(), v: matrix(), d: matrix()}
	q.Axpby(0.1, u.v, 0, u.v)
	u.share, u.weight = a.Alloc(tensor.F32, 1, cols), a.Alloc(tensor.F32, rows, 1)
	u.out, u.class, u.t = a.Alloc(tensor.F32, 1, 1), a.Alloc(tensor.I32, rows, 1), a.Alloc(tensor.U8, rows, cols)
	q.Fill(1, u.share)
	for i := range rows {
		cpu.F32(u.weight)[i], cpu.I32(u.class)[i] = r.Float32(), int32(r.IntN(cols))
		for j := range cols {
			cpu.U8(u.t)[i*cols+j] = uint8(r.IntN(2))
		}
	}
	return u
}

// host returns the elements of a view.
func (u *updateRig) host(t *testing.T, x tensor.Tensor) []float32 {
	t.Helper()
	raw := make([]byte, x.Bytes())
	u.q.Download(x, raw)
	if err := u.q.Sync(); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, x.Rows*x.Cols)
	for i := range out {
		out[i] = math.Float32frombits(uint32(raw[4*i]) | uint32(raw[4*i+1])<<8 | uint32(raw[4*i+2])<<16 | uint32(raw[4*i+3])<<24)
	}
	return out
}

// updateCalls are the operations with what they write.
var updateCalls = []struct {
	name  string
	call  func(u *updateRig)
	wrote func(u *updateRig) []tensor.Tensor
}{
	{"scale", func(u *updateRig) { u.q.Scale(0.5, u.value) }, func(u *updateRig) []tensor.Tensor { return []tensor.Tensor{u.value} }},
	{
		"sgd", func(u *updateRig) {
			u.q.SGD(tensor.SGDStep{LR: 0.1, Momentum: 0.9, Nesterov: true, ClipValue: 0.5}, tensor.Tensor{}, u.grad, u.m, u.value)
		},
		func(u *updateRig) []tensor.Tensor { return []tensor.Tensor{u.value, u.m, u.grad} },
	},
	{
		"rmsprop", func(u *updateRig) {
			u.q.RMSProp(tensor.RMSPropStep{LR: 0.1, Alpha: 0.9, Eps: 1e-8, Momentum: 0.9}, tensor.Tensor{}, u.grad, u.d, u.m, u.value)
		},
		func(u *updateRig) []tensor.Tensor { return []tensor.Tensor{u.value, u.m, u.d, u.grad} },
	},
	{
		"softmax", func(u *updateRig) { u.q.SmoothSoftmaxXent(0.1, u.share, u.value, u.class, u.weight, u.out, u.d) },
		func(u *updateRig) []tensor.Tensor { return []tensor.Tensor{u.out, u.d} },
	},
	{
		"sigmoid", func(u *updateRig) { u.q.SmoothSigmoidXent(0.1, u.share, u.value, u.t, u.weight, u.out, u.d) },
		func(u *updateRig) []tensor.Tensor { return []tensor.Tensor{u.out, u.d} },
	},
}

// Any number of threads and any stride gives the same bits, and nothing is allocated.
func TestUpdatesAgree(t *testing.T) {
	for _, c := range updateCalls {
		var want [][]float32
		for _, threads := range []int{1, 3} {
			for _, strided := range []bool{false, true} {
				u := newUpdateRig(t, threads, strided)
				u.q.RMSProp(tensor.RMSPropStep{Eps: 1}, tensor.Tensor{}, u.grad, u.d, tensor.Tensor{}, u.value) // d: squares
				u.q.Axpby(1, u.v, 0, u.grad)
				c.call(u)
				var got [][]float32
				for _, x := range c.wrote(u) {
					got = append(got, u.host(t, x))
				}
				if want == nil {
					want = got
				}
				if !slices.EqualFunc(got, want, slices.Equal[[]float32]) {
					t.Errorf("%s: results of %d threads, strided %v, differ", c.name, threads, strided)
				}
				if n := testing.AllocsPerRun(3, func() { c.call(u) }); n != 0 {
					t.Errorf("%s allocates %v times, want 0", c.name, n)
				}
			}
		}
	}
}

// Without weights of classes and smoothing the losses are the plain ones.
func TestSmoothIsPlain(t *testing.T) {
	u := newUpdateRig(t, 2, false)
	for _, c := range []struct {
		name          string
		plain, smooth func(d tensor.Tensor)
	}{
		{
			"softmax", func(d tensor.Tensor) { u.q.SoftmaxXent(u.value, u.class, u.weight, u.out, d) },
			func(d tensor.Tensor) { u.q.SmoothSoftmaxXent(0, u.share, u.value, u.class, u.weight, u.out, d) },
		},
		{
			"sigmoid of classes", func(d tensor.Tensor) { u.q.SigmoidXent(u.value, u.class, u.weight, u.out, d) },
			func(d tensor.Tensor) { u.q.SmoothSigmoidXent(0, u.share, u.value, u.class, u.weight, u.out, d) },
		},
		{
			"sigmoid", func(d tensor.Tensor) { u.q.SigmoidXent(u.value, u.t, u.weight, u.out, d) },
			func(d tensor.Tensor) { u.q.SmoothSigmoidXent(0, u.share, u.value, u.t, u.weight, u.out, d) },
		},
	} {
		c.plain(u.d)
		want := append(u.host(t, u.d), u.host(t, u.out)...)
		c.smooth(u.m)
		for i, got := range append(u.host(t, u.m), u.host(t, u.out)...) {
			if d := math.Abs(float64(got - want[i])); d > 1e-6*math.Abs(float64(want[i]))+1e-9 {
				t.Fatalf("%s: element %d = %v, want %v", c.name, i, got, want[i])
			}
		}
	}
}

// Operands that do not fit panic, and a class outside the columns fails the queue.
func TestUpdatesRefuse(t *testing.T) {
	u := newUpdateRig(t, 1, false)
	for i, call := range []func(){
		func() { u.q.SGD(tensor.SGDStep{Momentum: 0.5}, tensor.Tensor{}, u.grad, tensor.Tensor{}, u.value) },
		func() { u.q.SGD(tensor.SGDStep{ClipNorm: 1}, tensor.Tensor{}, u.grad, u.m, u.value) },
		func() { u.q.RMSProp(tensor.RMSPropStep{}, tensor.Tensor{}, u.grad, u.share, tensor.Tensor{}, u.value) },
		func() { u.q.SmoothSoftmaxXent(0, u.weight, u.value, u.class, u.weight, u.out, u.d) },
		func() { u.q.SmoothSoftmaxXent(0, u.share, u.value, u.t, u.weight, u.out, u.d) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(*tensor.ShapeError); !ok {
					t.Errorf("call %d did not panic with a ShapeError", i)
				}
			}()
			call()
		}()
	}
	cpu.I32(u.class)[1] = 1300
	u.q.SmoothSoftmaxXent(0, u.share, u.value, u.class, u.weight, u.out, u.d)
	if err := u.q.Sync(); err == nil || !strings.Contains(err.Error(), "class 1300 of row 1 is outside 1300 columns") {
		t.Errorf("Sync = %v, want an error that names the class", err)
	}
}
