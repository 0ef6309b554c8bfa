package formats

import (
	"runtime"
	"sync/atomic"

	"github.com/sourcegraph/conc"
)

// inParallel calls f(0)…f(n-1) on all processors. Indices are handed out in ascending
// order and none after a failure, so the error it returns, that of the smallest index
// that failed, does not depend on timing. A panic in f reaches the caller.
func inParallel(n int, f func(i int) error) error {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers <= 1 {
		for i := range n {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	var next atomic.Int64
	var failed atomic.Bool
	errs := make([]error, workers)
	at := make([]int, workers)
	var wg conc.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					errs[w], at[w] = err, i
					failed.Store(true)
					return
				}
			}
		})
	}
	wg.Wait()
	best := -1
	for w, err := range errs {
		if err != nil && (best < 0 || at[w] < at[best]) {
			best = w
		}
	}
	if best < 0 {
		return nil
	}
	return errs[best]
}

// chunks returns how many chunks of size hold n things.
func chunks(n, size int) int { return (n + size - 1) / size }
