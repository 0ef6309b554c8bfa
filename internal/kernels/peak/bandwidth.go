package peak

import (
	"time"

	"github.com/saint-gnn/saint/internal/kernels/f32"
	"github.com/saint-gnn/saint/internal/workers"
)

// bandwidthFloats is the size of Bandwidth's array, far above any cache that a thread can call its own.
const bandwidthFloats = 96 << 20 // 384 MiB

// Bandwidth measures how many bytes a second the group's threads read from memory together:
// sums of an array much larger than the caches. It runs for about the given time in rounds
// and returns the best of them, since other work on the machine only ever slows it down. It
// takes 384 MiB while it runs.
func Bandwidth(g *workers.Group, about time.Duration) float64 {
	const part = 1 << 18
	x := make([]float32, bandwidthFloats)
	tasks := len(x) / part
	sums := make([]float32, tasks)
	pass := func() time.Duration {
		start := time.Now()
		g.Run(tasks, func(task int) {
			lo, hi := task*part, (task+1)*part
			sums[task] = f32.Dot(x[lo:hi], x[lo:hi])
		})
		return time.Since(start)
	}
	touch(g, part, x)
	best := pass()
	for begin := time.Now(); time.Since(begin) < about; {
		best = min(best, pass())
	}
	return 4 * float64(tasks*part) / best.Seconds()
}

// touch makes the system put memory behind the array, from the threads that will read it.
func touch(g *workers.Group, part int, a []float32) {
	g.Run(len(a)/part, func(task int) {
		for i := task * part; i < (task+1)*part; i += 256 {
			a[i] = 1
		}
	})
}
