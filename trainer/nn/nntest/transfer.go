package nntest

import (
	"encoding/binary"
	"math"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Upload returns a rows×cols tensor of a with the elements of src, which are float32 for
// F32, int32 for I32 and uint8 for U8.
func Upload[E float32 | int32 | uint8](q tensor.Queue, a tensor.Arena, dt tensor.DType, rows, cols int, src []E) tensor.Tensor {
	t := a.Alloc(dt, rows, cols)
	Set(q, t, src)
	return t
}

// Set copies src to the contiguous t.
func Set[E float32 | float64 | int32 | uint8](q tensor.Queue, t tensor.Tensor, src []E) {
	b, err := binary.Append(nil, binary.LittleEndian, src)
	if err != nil {
		panic(err)
	}
	q.Upload(b, t)
	if err := q.Sync(); err != nil {
		panic(err)
	}
}

// Values returns the elements of a tensor of numbers, exactly.
func Values(q tensor.Queue, t tensor.Tensor) []float64 {
	if t.Type != tensor.F64 {
		var v []float64
		for _, x := range Download(q, t) {
			v = append(v, float64(x))
		}
		return v
	}
	b := make([]byte, t.Bytes())
	q.Download(t, b)
	if err := q.Sync(); err != nil {
		panic(err)
	}
	v := make([]float64, len(b)/8)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return v
}

// SetValues copies src to the contiguous t, rounded to what it holds.
func SetValues(q tensor.Queue, t tensor.Tensor, src []float64) {
	if t.Type == tensor.F64 {
		Set(q, t, src)
		return
	}
	single := make([]float32, len(src))
	for i, v := range src {
		single[i] = float32(v)
	}
	Set(q, t, single)
}

// Download returns the elements of a tensor of numbers as float32.
func Download(q tensor.Queue, t tensor.Tensor) []float32 {
	if !t.Present() {
		return nil
	}
	b := make([]byte, 4*t.Rows*t.Cols)
	q.Download(t, b)
	if err := q.Sync(); err != nil {
		panic(err)
	}
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return f
}

// ZeroGrads clears the gradients, which an optimizer does after a step.
func ZeroGrads(q tensor.Queue, params []*nn.Param) {
	for _, p := range params {
		if p.Trained() {
			q.Fill(0, p.Grad)
		}
	}
}
