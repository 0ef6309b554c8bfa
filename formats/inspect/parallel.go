package inspect

import (
	"runtime"
	"sync/atomic"

	"github.com/sourcegraph/conc"
)

// eachChunk calls f for the chunks of size of 0…n-1 on all processors. Whoever combines the
// results of chunks in their order gets the same for any number of processors.
func eachChunk(n, size int, f func(chunk, lo, hi int)) {
	count := chunks(n, size)
	var next atomic.Int64
	var wg conc.WaitGroup
	for range min(runtime.GOMAXPROCS(0), count) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= count {
					return
				}
				f(i, i*size, min(n, (i+1)*size))
			}
		})
	}
	wg.Wait()
}

// chunks returns how many chunks of size hold n things.
func chunks(n, size int) int { return (n + size - 1) / size }

// sumChunks adds up what f returns for each chunk, in their order.
func sumChunks[T int64 | float64](n, size int, f func(lo, hi int) T) T {
	parts := make([]T, chunks(n, size))
	eachChunk(n, size, func(chunk, lo, hi int) { parts[chunk] = f(lo, hi) })
	var total T
	for _, x := range parts {
		total += x
	}
	return total
}

// rowChunk is the number of rows of a graph that are looked at together.
const rowChunk = 2048
