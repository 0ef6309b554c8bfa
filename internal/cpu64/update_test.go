package cpu64_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/cpu64"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// device is a backend with operands of one seed.
type device struct {
	t                            *testing.T
	q                            tensor.Queue
	value, grad, m, v, d         tensor.Tensor
	share, weight, out, class, y tensor.Tensor
}

func newDevice(t *testing.T, b tensor.Backend) *device {
	t.Helper()
	const rows, cols = 70, 130
	t.Cleanup(func() { b.Close() })
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	rnd := rand.New(rand.NewPCG(1, 2))
	numbers := func(rows, cols int, next func() float64) tensor.Tensor {
		x := a.Alloc(tensor.F32, rows, cols)
		var raw []byte
		for range rows * cols {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(next())))
		}
		q.Upload(raw, x)
		return x
	}
	d := &device{t: t, q: q}
	for _, x := range []*tensor.Tensor{&d.value, &d.grad, &d.m, &d.d} {
		*x = numbers(rows, cols, rnd.NormFloat64)
	}
	d.v = numbers(rows, cols, rnd.Float64)
	d.share, d.weight, d.out = numbers(1, cols, rnd.Float64), numbers(rows, 1, rnd.Float64), numbers(1, 1, rnd.Float64)
	d.class, d.y = a.Alloc(tensor.I32, rows, 1), a.Alloc(tensor.U8, rows, cols)
	var classes, targets []byte
	for range rows {
		classes = binary.LittleEndian.AppendUint32(classes, uint32(rnd.IntN(cols)))
	}
	for range rows * cols {
		targets = append(targets, byte(rnd.IntN(2)))
	}
	q.Upload(classes, d.class)
	q.Upload(targets, d.y)
	return d
}

// host returns the elements of a tensor as float32.
func (d *device) host(x tensor.Tensor) []float32 {
	d.t.Helper()
	raw := make([]byte, 4*x.Rows*x.Cols)
	d.q.Download(x, raw)
	if err := d.q.Sync(); err != nil {
		d.t.Fatal(err)
	}
	v := make([]float32, x.Rows*x.Cols)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return v
}

// Operations that the contract suite does not have agree with those in single precision.
func TestUpdates(t *testing.T) {
	var none tensor.Tensor
	for _, c := range []struct {
		name string
		call func(d *device) []tensor.Tensor
	}{
		{"scale", func(d *device) []tensor.Tensor { d.q.Scale(0.5, d.value); return []tensor.Tensor{d.value} }},
		{"scale by 0", func(d *device) []tensor.Tensor { d.q.Scale(0, d.value); return []tensor.Tensor{d.value} }},
		{"sgd", func(d *device) []tensor.Tensor {
			d.q.SGD(tensor.SGDStep{LR: 0.1, ClipNorm: 0.5}, d.out, d.grad, none, d.value)
			return []tensor.Tensor{d.value, d.grad}
		}},
		{"momentum", func(d *device) []tensor.Tensor {
			d.q.SGD(tensor.SGDStep{LR: 0.1, Momentum: 0.9}, none, d.grad, d.m, d.value)
			return []tensor.Tensor{d.value, d.m, d.grad}
		}},
		{"nesterov", func(d *device) []tensor.Tensor {
			d.q.SGD(tensor.SGDStep{LR: 0.1, Momentum: 0.9, Nesterov: true, ClipValue: 0.5}, none, d.grad, d.m, d.value)
			return []tensor.Tensor{d.value, d.m, d.grad}
		}},
		{"rmsprop", func(d *device) []tensor.Tensor {
			d.q.RMSProp(tensor.RMSPropStep{LR: 0.1, Alpha: 0.9, Eps: 1e-3}, none, d.grad, d.v, none, d.value)
			return []tensor.Tensor{d.value, d.v, d.grad}
		}},
		{"rmsprop with momentum", func(d *device) []tensor.Tensor {
			d.q.RMSProp(tensor.RMSPropStep{LR: 0.1, Alpha: 0.9, Eps: 1e-3, Momentum: 0.9}, none, d.grad, d.v, d.m, d.value)
			return []tensor.Tensor{d.value, d.v, d.m, d.grad}
		}},
		{"softmax", func(d *device) []tensor.Tensor {
			d.q.SmoothSoftmaxXent(0.1, d.share, d.value, d.class, d.weight, d.out, d.d)
			return []tensor.Tensor{d.out, d.d}
		}},
		{"sigmoid", func(d *device) []tensor.Tensor {
			d.q.SmoothSigmoidXent(0.1, d.share, d.value, d.y, d.weight, d.out, d.d)
			return []tensor.Tensor{d.out, d.d}
		}},
		{"sigmoid of classes", func(d *device) []tensor.Tensor {
			d.q.SmoothSigmoidXent(0.2, d.share, d.value, d.class, d.weight, d.out, none)
			return []tensor.Tensor{d.out}
		}},
	} {
		single, double := newDevice(t, cpu.Open(tensor.Options{Threads: 1})), newDevice(t, cpu64.Open(tensor.Options{Threads: 3}))
		ws, gs := c.call(single), c.call(double)
		for k := range ws {
			want, got := single.host(ws[k]), double.host(gs[k])
			for i, v := range got {
				if d := math.Abs(float64(v - want[i])); !(d <= 1e-5*math.Abs(float64(want[i]))+2e-6) {
					t.Fatalf("%s: result %d, element %d = %v, want %v", c.name, k, i, v, want[i])
				}
			}
		}
		if n := testing.AllocsPerRun(3, func() { c.call(double) }); n > 1 { // the list of results
			t.Errorf("%s allocates %v times, want no more than the test does", c.name, n)
		}
	}
}

// Operands that do not fit panic, and a class outside the columns fails the queue.
func TestUpdatesRefuse(t *testing.T) {
	d := newDevice(t, cpu64.Open(tensor.Options{Threads: 1}))
	var none tensor.Tensor
	for i, call := range []func(){
		func() { d.q.SGD(tensor.SGDStep{Momentum: 0.5}, none, d.grad, none, d.value) },
		func() { d.q.SGD(tensor.SGDStep{ClipNorm: 1}, none, d.grad, d.m, d.value) },
		func() { d.q.RMSProp(tensor.RMSPropStep{}, none, d.grad, d.share, none, d.value) },
		func() { d.q.RMSProp(tensor.RMSPropStep{}, none, d.grad, none, none, d.value) },
		func() { d.q.SmoothSoftmaxXent(0, d.weight, d.value, d.class, d.weight, d.out, d.d) },
		func() { d.q.SmoothSoftmaxXent(0, d.share, d.value, d.y, d.weight, d.out, d.d) },
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
	d.q.Upload([]byte{0x14, 5, 0, 0}, d.class.RowRange(1, 2))
	d.q.SmoothSoftmaxXent(0, d.share, d.value, d.class, d.weight, d.out, d.d)
	if err := d.q.Sync(); err == nil || !strings.Contains(err.Error(), "class 1300 of row 1 is outside 130 columns") {
		t.Errorf("Sync = %v, want an error that names the class", err)
	}
}
