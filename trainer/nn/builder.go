package nn

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/internal/rng"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Initial values of parameters.
const (
	initGlorot   = "glorot"
	initZeros    = "zeros"
	initOnes     = "ones"
	initConstant = "const:"
)

// DeviceBuilder creates parameters on a device, all in one Flat. Values are a function of seed,
// position (parameters and buffers counted from 0 in the order of creation) and shape alone. Until Close
// parameters have their shapes, but no memory. Use it from one goroutine.
type DeviceBuilder struct {
	arena tensor.Arena
	q     tensor.Queue
	seed  uint64
	list  []*Param
	inits []string
	buf   []byte
}

// NewBuilder returns a builder that allocates in a, which must outlive the model and must
// not be the arena of the steps: that one is reset, and stores may compress what it owns.
func NewBuilder(b tensor.Backend, a tensor.Arena, seed uint64) (*DeviceBuilder, error) {
	q, err := b.NewQueue()
	if err != nil {
		return nil, fmt.Errorf("initial parameters: %w", err)
	}
	return &DeviceBuilder{arena: a, q: q, seed: seed}, nil
}

// Param creates a trained rows×cols matrix with gradient 0.
func (d *DeviceBuilder) Param(name string, rows, cols int, init string) *Param {
	p := d.Buffer(name, rows, cols, init)
	p.Grad = p.Value
	return p
}

// Buffer creates an untrained one.
func (d *DeviceBuilder) Buffer(name string, rows, cols int, init string) *Param {
	checkInit(name, init)
	p := &Param{Name: name, Value: shape(rows, cols)}
	d.list, d.inits = append(d.list, p), append(d.inits, init)
	return p
}

// checkInit panics if there is no such initial value.
func checkInit(name, init string) {
	if init == initZeros || init == initOnes {
		return
	}
	if _, ok := glorotFans(init, 1); ok {
		return
	}
	v, ok := strings.CutPrefix(init, initConstant)
	if !ok {
		panic("nn: initial value " + init + " of " + name + " is unknown")
	}
	if _, err := strconv.ParseFloat(v, 32); err != nil {
		panic("nn: initial value " + init + " of " + name + ": " + err.Error())
	}
}

// fill queues the initial values of all parameters.
func (d *DeviceBuilder) fill() {
	f := flatten(d.arena, d.list)
	if d.arena.Err() != nil {
		return // Close reports it
	}
	d.q.Fill(0, f.Values)
	if f.Grads.Present() {
		d.q.Fill(0, f.Grads)
	}
	for i, p := range d.list {
		init := d.inits[i]
		if fans, ok := glorotFans(init, p.Value.Rows+p.Value.Cols); ok {
			d.glorot(uint64(i), fans, p.Value)
			continue
		}
		v := float32(0)
		if init == initOnes {
			v = 1
		}
		if text, ok := strings.CutPrefix(init, initConstant); ok {
			f, _ := strconv.ParseFloat(text, 32) // checkInit has seen it
			v = float32(f)
		}
		if v != 0 {
			d.q.Fill(v, p.Value)
		}
	}
}

// initConst is the initial value of a matrix with one number everywhere.
func initConst(v float64) string { return initConstant + strconv.FormatFloat(v, 'g', -1, 64) }

// glorotOver is the initial value of a matrix whose parts have that many rows and columns
// together.
func glorotOver(fans int) string { return initGlorot + ":" + strconv.Itoa(fans) }

// glorotFans returns the rows and columns that a Glorot initial value counts.
func glorotFans(init string, all int) (fans int, ok bool) {
	if init == initGlorot {
		return all, true
	}
	n, found := strings.CutPrefix(init, initGlorot+":")
	fans, err := strconv.Atoi(n)
	return fans, found && err == nil && fans > 0
}

// glorot draws from U(-b, b) with b = sqrt(6/fans) (Glorot and Bengio 2010, eq. 16, where
// fans are the rows and columns).
func (d *DeviceBuilder) glorot(index uint64, fans int, t tensor.Tensor) {
	r := rng.New(d.seed, rng.Init, 0, index)
	bound := math.Sqrt(6 / float64(fans))
	d.buf = d.buf[:0]
	for range t.Rows * t.Cols {
		v := float32(bound * (2*r.Float64() - 1))
		d.buf = binary.LittleEndian.AppendUint32(d.buf, math.Float32bits(v))
	}
	d.q.Upload(d.buf, t)
	_ = d.q.Sync() // buf is free again; Close reports the failure
}

// Close gives the parameters memory with their initial values, closes the builder's queue and returns
// the first failure since NewBuilder. The parameters stay valid.
func (d *DeviceBuilder) Close() error {
	d.fill()
	err := d.q.Sync()
	if e := d.arena.Err(); e != nil {
		err = e // the cause of what the queue says
	}
	if e := d.q.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("initial parameters: %w", err)
	}
	return nil
}

// ShapeBuilder creates parameters that have shapes but no memory: for checks of a
// configuration and for parameter counts without a device. The zero value is ready.
type ShapeBuilder struct {
	Trained int64 // elements of trained parameters so far
	Buffers int64 // elements of buffers so far
}

// Param counts a trained matrix.
func (s *ShapeBuilder) Param(name string, rows, cols int, _ string) *Param {
	s.Trained += int64(rows) * int64(cols)
	t := shape(rows, cols)
	return &Param{Name: name, Value: t, Grad: t}
}

// Buffer counts an untrained one.
func (s *ShapeBuilder) Buffer(name string, rows, cols int, _ string) *Param {
	s.Buffers += int64(rows) * int64(cols)
	return &Param{Name: name, Value: shape(rows, cols)}
}

func shape(rows, cols int) tensor.Tensor {
	return tensor.Tensor{Rows: rows, Cols: cols, Stride: cols, Type: tensor.F32}
}
