// Package f64 holds the two loops in which the operations of double precision spend their time.
// Vectors round every product before they add it, as Go does, so the results are the same bits on
// every processor and in every build.
package f64

// Rows and Cols are the size of a tile.
const (
	Rows = 4
	Cols = 8
)

// Tile sets sums, row by row, to the product of a panel a of k columns of Rows elements and a
// panel b of k rows of Cols elements. Every element adds its products in their order.
func Tile(a, b []float64, sums *[Rows * Cols]float64) {
	k := len(a) / Rows
	if k == 0 {
		*sums = [Rows * Cols]float64{}
		return
	}
	tile(a[:k*Rows], b[:k*Cols], sums)
}

// Axpy computes y += f x.
func Axpy(f float64, x, y []float64) {
	x = x[:len(y)]
	n := axpy(f, x, y)
	axpyGo(f, x[n:], y[n:])
}

// tileGo computes a part of 2×4 at a time: as many sums as there are registers for.
func tileGo(a, b []float64, sums *[Rows * Cols]float64) {
	for r := 0; r < Rows; r += 2 {
		for c := 0; c < Cols; c += 4 {
			var s00, s01, s02, s03, s10, s11, s12, s13 float64
			for x, y := a, b; len(x) >= Rows && len(y) >= Cols; x, y = x[Rows:], y[Cols:] {
				x0, x1 := x[r], x[r+1]
				y0, y1, y2, y3 := y[c], y[c+1], y[c+2], y[c+3]
				// The conversions keep processors that could from fusing the two.
				s00 += float64(x0 * y0)
				s01 += float64(x0 * y1)
				s02 += float64(x0 * y2)
				s03 += float64(x0 * y3)
				s10 += float64(x1 * y0)
				s11 += float64(x1 * y1)
				s12 += float64(x1 * y2)
				s13 += float64(x1 * y3)
			}
			s := sums[r*Cols+c:]
			s[0], s[1], s[2], s[3] = s00, s01, s02, s03
			s = sums[(r+1)*Cols+c:]
			s[0], s[1], s[2], s[3] = s10, s11, s12, s13
		}
	}
}

func axpyGo(f float64, x, y []float64) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += float64(f * v)
	}
}
