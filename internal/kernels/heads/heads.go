// Package heads holds the row loops of attention layers. A row of K heads is K ranges of width
// columns; what a head is multiplied by lies in a row of K numbers. Functions use the calling
// goroutine alone and compute every row by itself, so results do not depend on how rows are
// shared out. Slices too short for their heads make a call panic.
package heads

// Dots computes s_k = x_k a_k, the product of the columns of head k, for len(s) heads.
func Dots(width int, x, a, s []float32) {
	n := len(s) * width
	dots(width, x[:n], a[:n], s)
}

// AddOuter computes y_k += s_k a_k.
func AddOuter(width int, s, a, y []float32) {
	n := len(s) * width
	addOuter(width, s, a[:n], y[:n])
}

// Scale computes y_k = s_k x_k; y may be x.
func Scale(width int, s, x, y []float32) {
	n := len(s) * width
	scale(width, s, x[:n], y[:n])
}

// Pair are the operands of two sums over the entries of a row i of a CSR matrix,
//
//	sum_i  = sum of Val[e] x_c             c = Col[e], e from Indptr[i] to Indptr[i+1]-1
//	dot_ik = sum of Val[e] R_ck x_ck
//
// for heads of some columns each. Entries are added in their order. Set the fields, then call
// Prepare, then Row from any number of goroutines.
type Pair struct {
	Indptr, Col  []int32
	Val, X, R    []float32
	LDX, LDR     int // elements from row to row
	Heads, Width int

	blocks []block
	lanes  []int32 // the head of every column, counted from the first one of its block
	asFor  [2]int  // heads and width that the plan is for
}

// blockGo is the width of a block where there are no registers to fit.
const blockGo = 1 << 30

// block is a range of columns that one call of a kernel sums.
type block struct{ from, to, head int }

// Prepare makes a plan for Heads and Width. It allocates only where they grow.
func (p *Pair) Prepare() {
	if p.asFor == [2]int{p.Heads, p.Width} {
		return
	}
	p.asFor = [2]int{p.Heads, p.Width}
	p.blocks, p.lanes = p.blocks[:0], p.lanes[:0]
	columns, most := planOf()
	for from, n := 0, p.Heads*p.Width; from < n; {
		head := from / p.Width
		to := min(n, from+columns, (head+most)*p.Width)
		p.blocks = append(p.blocks, block{from, to, head})
		for j := from; j < to; j++ {
			p.lanes = append(p.lanes, int32(j/p.Width-head))
		}
		from = to
	}
	for range 16 { // kernels read whole vectors
		p.lanes = append(p.lanes, 0)
	}
}

// Forget drops the operands and keeps the plan.
func (p *Pair) Forget() {
	p.Indptr, p.Col, p.Val, p.X, p.R = nil, nil, nil, nil, nil
}

// Row writes the two sums of row i, Heads*Width elements each.
func (p *Pair) Row(i int, sum, dot []float32) {
	n := p.Heads * p.Width
	sum, dot = sum[:n], dot[:n]
	if p.Indptr[i] == p.Indptr[i+1] {
		clear(sum)
		clear(dot)
		return
	}
	for _, b := range p.blocks {
		p.row(i, b, sum, dot)
	}
}

func dotsGo(width int, x, a, s []float32) {
	for k := range s {
		s[k] = dotGo(x[k*width:(k+1)*width], a[k*width:(k+1)*width])
	}
}

// dotGo uses four sums so that additions do not wait for each other.
func dotGo(x, a []float32) float32 {
	a = a[:len(x)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += x[i] * a[i]
		s1 += x[i+1] * a[i+1]
		s2 += x[i+2] * a[i+2]
		s3 += x[i+3] * a[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * a[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func addOuterGo(width int, s, a, y []float32) {
	for k, f := range s {
		ak, yk := a[k*width:(k+1)*width], y[k*width:(k+1)*width]
		for j, v := range ak {
			yk[j] += f * v
		}
	}
}

func scaleGo(width int, s, x, y []float32) {
	for k, f := range s {
		xk, yk := x[k*width:(k+1)*width], y[k*width:(k+1)*width]
		for j, v := range xk {
			yk[j] = f * v
		}
	}
}

// rowGo is the portable kernel of Row for the columns of a block.
func (p *Pair) rowGo(i int, b block, sum, dot []float32) {
	from, to := b.from, b.to
	clear(sum[from:to])
	clear(dot[from:to])
	for e := p.Indptr[i]; e < p.Indptr[i+1]; e++ {
		v, c := p.Val[e], int(p.Col[e])
		x, r := p.X[c*p.LDX:], p.R[c*p.LDR:]
		for j := from; j < to; {
			k := j / p.Width
			end := min((k+1)*p.Width, to)
			w := v * r[k]
			xs := x[j:end]
			s, d := sum[j:end][:len(xs)], dot[j:end][:len(xs)]
			for l, t := range xs {
				s[l] += v * t
				d[l] += w * t
			}
			j = end
		}
	}
}
