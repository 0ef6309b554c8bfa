package cpu

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// Raw returns the memory of a view of an arena's tensor from its first element to its last,
// nil if it has none: for backends that compute otherwise in the same memory. It fails for
// tensors that could not be allocated and for those of other devices.
func Raw(t tensor.Tensor) ([]byte, error) {
	m, ok := t.Mem.(*memory)
	switch {
	case !ok:
		return nil, fmt.Errorf("cpu: operation on a tensor (%s) of another backend", t)
	case m == noMemory:
		return nil, errNoMemory
	}
	return bytesOf(t), nil
}
