package gemm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/kernels/peak"
	"github.com/saint-gnn/saint/internal/workers"
)

// The products of a training step: nodes of a minibatch times layer widths of the public
// configurations (Flickr, PPI, Reddit), forward (NN), input gradient (NT) and weight
// gradient (TN).
var benchShapes = []struct {
	transA, transB bool
	m, n, k        int
}{
	{false, false, 11920, 256, 500},
	{false, false, 11920, 256, 512},
	{false, false, 5064, 512, 1024},
	{false, false, 8643, 128, 602},
	{false, false, 5064, 121, 512},
	{false, false, 5064, 512, 50},
	{false, false, 11920, 7, 512},
	{false, false, 8643, 41, 256},
	{false, true, 11920, 500, 256},
	{false, true, 11920, 512, 256},
	{false, true, 5064, 1024, 512},
	{false, true, 8643, 602, 128},
	{false, true, 5064, 512, 121},
	{true, false, 500, 256, 11920},
	{true, false, 512, 256, 11920},
	{true, false, 1024, 512, 5064},
	{true, false, 602, 128, 8643},
	{true, false, 512, 121, 5064},
	{true, false, 512, 7, 11920},
	{true, false, 256, 41, 8643},
	{false, false, 1000, 1000, 1000},
}

// BenchmarkGemm reports the median rate and its share of the multiply-add rate, which is
// measured before and after every product: a processor's clock depends on what it did just
// before, dense vector arithmetic above all, and that of a shared one on its neighbours.
func BenchmarkGemm(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, threads := range []int{1, 0} {
		g := workers.New(threads)
		for _, level := range levels()[1:] {
			ws := newWorkspace(level)
			for _, s := range benchShapes {
				name := fmt.Sprintf("%v/threads=%d/%c%c-%dx%dx%d", level, g.Threads(),
					letter(s.transA), letter(s.transB), s.m, s.n, s.k)
				b.Run(name, func(b *testing.B) {
					benchGemm(b, g, ws, level, newProduct(r, s.transA, s.transB, s.m, s.n, s.k, 0, 1, 0))
				})
			}
		}
		g.Close()
	}
}

func letter(trans bool) rune {
	if trans {
		return 'T'
	}
	return 'N'
}

// limit is the multiply-add rate, on tiles where the level has them.
func limit(g *workers.Group, level cpufeat.Level) float64 {
	if tiles := peak.Tiles(g, level, 3*time.Millisecond); tiles > 0 {
		return tiles
	}
	return peak.GFLOPS(g, level, 3*time.Millisecond)
}

func benchGemm(b *testing.B, g *workers.Group, ws *Workspace, level cpufeat.Level, p *product) {
	p.run(g, ws, p.c)
	var rates, shares []float64
	for b.Loop() {
		before := limit(g, level)
		start := time.Now()
		p.run(g, ws, p.c)
		rate := 2 * float64(p.m) * float64(p.n) * float64(p.k) / time.Since(start).Seconds() / 1e9
		after := limit(g, level)
		rates = append(rates, rate)
		shares = append(shares, 100*rate/((before+after)/2))
	}
	slices.Sort(rates)
	slices.Sort(shares)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rates[len(rates)/2], "GFLOP/s")
	b.ReportMetric(shares[len(shares)/2], "%peak")
}
