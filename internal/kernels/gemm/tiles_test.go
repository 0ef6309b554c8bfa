package gemm

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/workers"
)

// tilesGo are the kernels on tiles in plain Go, for machines without them and to compare with.
var tilesGo = tileOps{
	split: splitGo, transpose: transposeGo, multiply: multiplyGo, finish: finishGo,
	finite: func(x []float32) bool { return !slices.ContainsFunc(x, notFinite) },
}

// at reads memory that a splitting points to, which the caller keeps alive.
func at[T any](p uintptr, n int) []T {
	return unsafe.Slice(*(**T)(unsafe.Pointer(&p)), n)
}

func splitGo(s *splitting) {
	for ; s.blocks > 0; s.blocks-- {
		for ; s.left > 0; s.left-- {
			for i := range 16 {
				var x, y [3]uint16
				if s.mask>>i&1 != 0 {
					x = threePieces(at[float32](s.src, i+1)[i])
				}
				if s.mask2>>i&1 != 0 {
					y = threePieces(at[float32](s.src+uintptr(s.second), i+1)[i])
				}
				for p := range pieces {
					at[uint32](s.dst, p*pieceSize+16)[p*pieceSize+i] = uint32(x[p]) | uint32(y[p])<<16
				}
			}
			s.src += uintptr(s.unit)
			s.dst += 64
		}
		s.left = s.units
		s.src += uintptr(s.next)
		s.dst += uintptr(s.dstNext)
	}
}

func threePieces(x float32) [3]uint16 {
	high := math.Float32frombits((math.Float32bits(x) + 0x8000) & 0xffff0000)
	rest := x - high
	middle := math.Float32frombits(math.Float32bits(rest) & 0xffff0000)
	low := rest - middle
	return [3]uint16{
		uint16(math.Float32bits(high) >> 16), uint16(math.Float32bits(middle) >> 16), uint16(math.Float32bits(low) >> 16),
	}
}

func transposeGo(blocks int, src []float32, ld, next int, dst []float32, step, dstNext int) {
	for b := range blocks {
		for i := range 16 {
			for l := range 16 {
				dst[b*dstNext+l*step+i] = src[b*next+i*ld+l]
			}
		}
	}
}

// number widens a piece, and makes what is denormal zero as the processor does.
func number(piece uint32) float32 {
	if piece&0x7f80 == 0 {
		piece &= 0x8000
	}
	return math.Float32frombits(piece << 16)
}

// multiplyGo sums as the processor does: even and odd elements of a step for themselves.
func multiplyGo(t *tiling) {
	a := at[uint32](uintptr(unsafe.Pointer(t.a)), t.steps*stepSize)
	b := at[uint32](uintptr(unsafe.Pointer(t.b)), t.panels*t.steps*stepSize)
	c := at[float32](uintptr(unsafe.Pointer(t.c)), t.panels*tileSize)
	for p := range t.panels {
		for x := range tileSize {
			i, j := x/tileSide, x%tileSide
			var sum float32
			for step := range t.steps {
				sum = stepGo(a[step*stepSize+i*16:], b[(p*t.steps+step)*stepSize+j/16*pieceSize/2+j%16:], sum)
			}
			if t.fresh == 0 {
				sum += c[p*tileSize+x]
			}
			c[p*tileSize+x] = sum
		}
	}
	if t.rate > 0 {
		splitGo(&t.splitting)
	}
}

// stepGo adds the six products of a step.
func stepGo(a, b []uint32, sum float32) float32 {
	for _, q := range [][2]int{{2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 2}, {0, 0}} {
		var even, odd float32
		for l := range 16 {
			u, v := a[q[0]*pieceSize+l], b[q[1]*pieceSize+l*16]
			even = float32(math.FMA(float64(number(u&0xffff)), float64(number(v&0xffff)), float64(even)))
			odd = float32(math.FMA(float64(number(u>>16)), float64(number(v>>16)), float64(odd)))
		}
		sum += even + odd
	}
	return sum
}

func notFinite(v float32) bool { return v-v != 0 }

func finishGo(rows, panels int, p, c []float32, ldc int, mask uint32, alpha, beta float32) bool {
	fine := true
	for i := range rows {
		for j := range panels * tileSide {
			if j >= (panels-1)*tileSide && mask>>(j%tileSide)&1 == 0 {
				continue
			}
			v := p[j/tileSide*tileSize+i*tileSide+j%tileSide]
			fine = fine && !notFinite(v)
			v *= alpha
			if beta != 0 {
				v += beta * c[i*ldc+j]
			}
			c[i*ldc+j] = v
		}
	}
	return fine
}

// onTiles returns workspaces whose products run on tiles, by name.
func onTiles() map[string]func() *Workspace {
	m := map[string]func() *Workspace{
		"go": func() *Workspace { return &Workspace{kern: kernelsOf(cpufeat.Generic), tiles: tilesGo} },
	}
	if cpufeat.Best() >= cpufeat.AMX {
		m["amx"] = func() *Workspace { return newWorkspace(cpufeat.AMX) }
	}
	return m
}

// Every tail of every dimension.
func TestTilesTails(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	for name, workspace := range onTiles() {
		r := rand.New(rand.NewPCG(3, 4))
		ws := workspace()
		for x := 32; x <= 100; x++ {
			if name == "go" && (x != 41 && x != 64 && x != 95 || testing.Short()) || testing.Short() && x%5 != 0 {
				continue
			}
			for _, s := range [][3]int{{x, 65, 40}, {34, x + 32, 40}, {33, 67, x}, {x, x + 32, x}} {
				for _, tr := range transposes[:3] {
					p := newProduct(r, tr.a, tr.b, s[0], s[1], s[2], x%8, 1-float32(x%3), float32(x%2)/2)
					got := slices.Clone(p.c)
					p.run(g, ws, got)
					p.compare(t, got, 1)
				}
			}
		}
	}
}

// The processor's tiles give what plain Go gives, to the bit where nothing is denormal.
func TestTilesBits(t *testing.T) {
	workspace, ok := onTiles()["amx"]
	if !ok {
		t.Skip("this processor or system has no tiles")
	}
	g := workers.New(2)
	defer g.Close()
	r := rand.New(rand.NewPCG(5, 4))
	for _, tr := range transposes[:3] {
		p := newProduct(r, tr.a, tr.b, 40, 71, 300, 3, 0.5, 2)
		got, want := slices.Clone(p.c), slices.Clone(p.c)
		p.run(g, workspace(), got)
		p.run(g, &Workspace{kern: kernelsOf(cpufeat.AVX512), tiles: tilesGo}, want)
		differ := 0
		for i := range got {
			if got[i] != want[i] {
				differ++
			}
			if d := math.Abs(float64(got[i] - want[i])); d > 1e-5 {
				t.Fatalf("%s: element %d is %v on tiles and %v in Go", tr.name, i, got[i], want[i])
			}
		}
		t.Logf("%s: %d of %d elements differ in the last bits", tr.name, differ, len(got))
	}
}

// Infinite numbers, those that are none and those close to overflow give what the kernels on
// vectors give.
func TestTilesExtremes(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	inf, most := float32(math.Inf(1)), float32(math.MaxFloat32)
	extremes := []float32{
		inf, -inf, most, -most, most * 0.999,
		float32(math.NaN()), math.Float32frombits(0x7fffffff), math.Float32frombits(0x7f800001),
	}
	for name, workspace := range onTiles() {
		for _, tr := range transposes[:3] {
			for _, x := range extremes {
				p := newProduct(rand.New(rand.NewPCG(5, 4)), tr.a, tr.b, 40, 70, 150, 1, 1, 0.5)
				for i := range p.b {
					p.b[i] *= float32(i%3) / 16
				}
				p.a[len(p.a)/2], p.a[len(p.a)/3] = x, 1
				want, got := slices.Clone(p.c), slices.Clone(p.c)
				p.run(g, newWorkspace(min(cpufeat.Best(), cpufeat.AVX512)), want)
				p.run(g, workspace(), got)
				for i := range got {
					if !alike(float64(got[i]), float64(want[i])) {
						t.Fatalf("%s %s with %v: element %d is %v, want %v", name, tr.name, x, i, got[i], want[i])
					}
				}
			}
		}
	}
}

// alike reports whether numbers are the same but for rounding; NaN is like NaN.
func alike(v, w float64) bool {
	return v == w || v != v && w != w || math.Abs(w-v) <= 1e-5*max(1, math.Abs(w))
}

// With a reader, a weight gradient falls back as with a slice.
func TestTilesExtremesFromReader(t *testing.T) {
	g := workers.New(2)
	defer g.Close()
	for name, workspace := range onTiles() {
		p := newProduct(rand.New(rand.NewPCG(5, 4)), true, false, 40, 66, 500, 1, 1, 0.5)
		p.a[len(p.a)/2] = float32(math.Inf(-1))
		want, got := slices.Clone(p.c), slices.Clone(p.c)
		p.run(g, workspace(), want)
		p.fused(g, workspace(), Around{Left: &given{x: p.a[p.offA:], ld: p.lda, cols: p.m}}, got)
		for i := range got {
			if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
				t.Fatalf("%s: element %d is %v from a reader and %v from a slice", name, i, got[i], want[i])
			}
		}
	}
}

// relative returns the largest error of c in units of what the sums of absolute values
// weigh, 2⁻²⁴, and the root of the mean square.
func (p *product) relative(c []float32) (most, mean float64) {
	n := 0
	for i := range p.m {
		for j := i % 17; j < p.n; j += 17 {
			var want, size float64
			for l := range p.k {
				y := p.atA(i, l) * p.atB(l, j)
				want += y
				size += math.Abs(y)
			}
			e := math.Abs(float64(c[p.offC+i*p.ldc+j])-want) / size * (1 << 24)
			most, mean, n = max(most, e), mean+e*e, n+1
		}
	}
	return most, math.Sqrt(mean / float64(n))
}

// On numbers of all kinds, tiles are at least as exact as vectors.
func TestTilesAccuracy(t *testing.T) {
	workspace, ok := onTiles()["amx"]
	if !ok {
		t.Skip("this processor or system has no tiles")
	}
	g := workers.New(0)
	defer g.Close()
	kinds := []struct {
		name string
		a, b func(r *rand.Rand, i, l int) float32
	}{
		{"uniform", uniform, uniform},
		{"normal", normal, normal},
		{"positive", positive, positive},
		{"scaled rows", scaled, uniform},
		{"scaled columns", uniform, scaled},
		{"cancelling", uniform, nil},
	}
	for _, kind := range kinds {
		for _, tr := range transposes[:3] {
			for _, s := range [][3]int{{64, 128, 512}, {64, 96, 3000}} {
				p := kindOf(kind.a, kind.b, tr.a, tr.b, s[0], s[1], s[2])
				vectors, tiles := slices.Clone(p.c), slices.Clone(p.c)
				p.run(g, newWorkspace(cpufeat.AVX512), vectors)
				p.run(g, workspace(), tiles)
				vm, vr := p.relative(vectors)
				tm, tr2 := p.relative(tiles)
				t.Logf("%-14s %s k=%d: vectors %.3f (rms %.4f), tiles %.3f (rms %.4f)", kind.name, tr.name, s[2], vm, vr, tm, tr2)
				if tm > vm || tr2 > vr {
					t.Errorf("%s %s k=%d: error of tiles is %.3g (rms %.3g), want no more than that of vectors %.3g (rms %.3g)",
						kind.name, tr.name, s[2], tm, tr2, vm, vr)
				}
			}
		}
	}
}

func uniform(r *rand.Rand, _, _ int) float32  { return 2*r.Float32() - 1 }
func normal(r *rand.Rand, _, _ int) float32   { return float32(r.NormFloat64()) }
func positive(r *rand.Rand, _, _ int) float32 { return r.Float32() }

// scaled gives rows of a, or columns of b, from 1e-20 to 1e20.
func scaled(r *rand.Rand, i, _ int) float32 {
	return (2*r.Float32() - 1) * float32(math.Pow(10, float64(i*7%41)-20))
}

// kindOf makes a product of numbers by row of a and column of b. Without b, the second half
// of the inner dimension cancels the first.
func kindOf(a, b func(r *rand.Rand, i, l int) float32, transA, transB bool, m, n, k int) *product {
	r := rand.New(rand.NewPCG(21, 22))
	p := newProduct(r, transA, transB, m, n, k, 0, 1, 0)
	for i := range m {
		for l := range k {
			x := i*p.lda + l
			if transA {
				x = l*p.lda + i
			}
			p.a[x] = a(r, i, l)
		}
	}
	index := func(l, j int) int {
		if transB {
			return j*p.ldb + l
		}
		return l*p.ldb + j
	}
	for j := range n {
		for l := range k {
			if b != nil {
				p.b[index(l, j)] = b(r, j, l)
				continue
			}
			p.b[index(l, j)] = uniform(r, 0, 0)
			if l >= k/2 { // a and b of the first half again, with the other sign
				p.b[index(l, j)] = -p.b[index(l-k/2, j)]
			}
		}
	}
	for i := 0; b == nil && i < m; i++ {
		for l := k / 2; l < k; l++ {
			x, y := i*p.lda+l, i*p.lda+l-k/2
			if transA {
				x, y = l*p.lda+i, (l-k/2)*p.lda+i
			}
			p.a[x] = p.a[y] * (1 + 1e-6*uniform(r, 0, 0))
		}
	}
	return p
}
