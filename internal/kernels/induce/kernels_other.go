//go:build !amd64 || noasm

package induce

const assembly = false

func scan(*Rows, *Out, int, int, int, int) (rows, end int)           { panic("no assembly") }
func local([]int32, []uint32, []int32)                               { panic("no assembly") }
func count(*Rows, []int32, []int64, []uint32)                        { panic("no assembly") }
func scale([]int32, []int64, []int32, []int64, []float32, []float32) { panic("no assembly") }
func pop(*Frontier, int, []uint64, []int32) (pops, total int)        { panic("no assembly") }
