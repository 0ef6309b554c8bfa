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
func Set[E float32 | int32 | uint8](q tensor.Queue, t tensor.Tensor, src []E) {
	b, err := binary.Append(nil, binary.LittleEndian, src)
	if err != nil {
		panic(err)
	}
	q.Upload(b, t)
	if err := q.Sync(); err != nil {
		panic(err)
	}
}

// Download returns the elements of an F32 tensor.
func Download(q tensor.Queue, t tensor.Tensor) []float32 {
	if !t.Present() {
		return nil
	}
	b := make([]byte, t.Bytes())
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
