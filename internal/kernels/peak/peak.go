// Package peak measures what a processor can do at most, to compare kernels with.
package peak

import (
	"time"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/workers"
)

// GFLOPS measures the multiply-add rate of the group's threads together, in 10⁹
// single-precision operations per second, a multiply-add counted as two: registers only,
// with the instructions of the level. It runs for about the given time in rounds and
// returns the best of them, since other work on the machine only ever slows it down.
func GFLOPS(g *workers.Group, level cpufeat.Level, about time.Duration) float64 {
	flops, run := kernel(level)
	return rate(g, about, flops, run)
}

// Tiles measures like GFLOPS the rate of single-precision products on tiles, each made of six
// products of bfloat16 pieces, and returns 0 if the level has no tiles. Threads of one
// core share the unit that does it, be they of this machine or, where it is virtual, of others.
func Tiles(g *workers.Group, level cpufeat.Level, about time.Duration) float64 {
	flops, run := tiles(level)
	if run == nil {
		return 0
	}
	return rate(g, about, flops, run)
}

// rate measures run, of which a round has that many operations.
func rate(g *workers.Group, about time.Duration, flops int, run func(n int)) float64 {
	// A round is cut finely: where one thread is held up, the others do what it does not.
	const rounds, parts = 8, 16
	n := 10
	once := func() time.Duration {
		start := time.Now()
		g.Run(parts*g.Threads(), func(int) { run(n) })
		return time.Since(start)
	}
	for once() < about/rounds && n < 1<<30 {
		n *= 2
	}
	best := once()
	for range rounds / 2 {
		best = min(best, once())
	}
	return float64(flops) * float64(n) * float64(parts*g.Threads()) / best.Seconds() / 1e9
}

// sink keeps the compiler from dropping fmaGo's work.
var sink float32

// fmaGo runs n rounds of independent multiply-adds.
func fmaGo(n int) {
	var a, b, c, d, e, f, g, h float32
	x := sink
	for range n {
		a = a*x + x
		b = b*x + x
		c = c*x + x
		d = d*x + x
		e = e*x + x
		f = f*x + x
		g = g*x + x
		h = h*x + x
	}
	if a+b+c+d+e+f+g+h == 1 { // never: x is 0
		sink = 0
	}
}

const flopsGo = 2 * 8
