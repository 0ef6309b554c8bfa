package trainer

import (
	"unsafe"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// bytesOf returns the memory of s.
func bytesOf[T int32 | float32 | float64 | uint8 | uint16](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// Download queues a copy of the tensor t of numbers to host memory, reusing buf where it is large
// enough; those of double precision are rounded. The values are there after the queue's Sync.
func Download(q tensor.Queue, t tensor.Tensor, buf []float32) []float32 {
	buf = grow(buf, t.Rows*t.Cols)
	q.Download(t, bytesOf(buf))
	return buf
}

// downloadExact returns the values of a tensor of numbers in the precision they have.
func downloadExact(q tensor.Queue, t tensor.Tensor) ([]float64, error) {
	v := make([]float64, t.Rows*t.Cols)
	if t.Type == tensor.F64 {
		q.Download(t, bytesOf(v))
		return v, q.Sync()
	}
	single := Download(q, t, nil)
	if err := q.Sync(); err != nil {
		return nil, err
	}
	for i, x := range single {
		v[i] = float64(x)
	}
	return v, nil
}

// scalar fetches tensors of one number without allocating.
type scalar struct {
	single [1]float32
	double [1]float64
}

// fetch waits for t and returns its number.
func (s *scalar) fetch(q tensor.Queue, t tensor.Tensor) (float64, error) {
	if t.Type == tensor.F64 {
		q.Download(t, bytesOf(s.double[:]))
		err := q.Sync()
		return s.double[0], err
	}
	q.Download(t, bytesOf(s.single[:]))
	err := q.Sync()
	return float64(s.single[0]), err
}

// floatsOf returns the memory of b, which is aligned to 4 bytes, as numbers.
func floatsOf(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
