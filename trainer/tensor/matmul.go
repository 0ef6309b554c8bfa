package tensor

import "fmt"

// Matmul is how a device that has a choice multiplies dense matrices; sums are of single precision in
// any case, and so are operands and results in memory.
type Matmul uint8

// Ways of multiplying.
const (
	MatmulFP32 Matmul = iota // single precision
	MatmulTF32               // factors rounded to 10 bits of fraction (TensorFloat-32)
	MatmulBF16               // factors rounded to 7 bits of fraction (bfloat16)
)

var matmulNames = [...]string{MatmulFP32: "fp32", MatmulTF32: "tf32", MatmulBF16: "bf16"}

// ParseMatmul returns the way of that name.
func ParseMatmul(s string) (Matmul, error) {
	for m, name := range matmulNames {
		if s == name {
			return Matmul(m), nil
		}
	}
	return 0, fmt.Errorf("%q, want fp32, tf32 or bf16", s)
}

// String returns the name: "fp32", "tf32" or "bf16".
func (m Matmul) String() string { return matmulNames[m] }
