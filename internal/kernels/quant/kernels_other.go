//go:build !amd64 || noasm

package quant

// The portable loops do everything.
func rangeASM([]float32, *float32, *float32) int { return 0 }

func stageASM([]float32, []float32, float32, []float32, []byte, *float32, *float32) int { return 0 }

func unstageASM([]float32, []float32, []byte, []float32) int { return 0 }

func pack(bits int, zero, inv []float32, key, word uint64, x []float32, _ Soon, dst []byte) {
	packGo(bits, zero, inv, key, word, x, dst)
}

func briefASM([]float32, []byte) int { return 0 }

func widenASM([]byte, []float32) int { return 0 }

func unpack(bits int, zero, step float32, src []byte, x []float32) {
	unpackGo(bits, zero, step, src, x)
}

func describeASM(int, []float32, []int32, []float32, []float32) int { return 0 }

func packGroupsASM(int, []float32, []float32, uint64, uint64, []float32, Soon, []byte) int { return 0 }

func unpackGroupsASM(int, []int32, []byte, []float32) int { return 0 }
