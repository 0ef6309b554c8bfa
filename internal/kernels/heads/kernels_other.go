//go:build !amd64 || noasm

package heads

// planOf returns the columns and heads of a block.
func planOf() (columns, heads int) { return blockGo, blockGo }

func dots(width int, x, a, s []float32) { dotsGo(width, x, a, s) }

func addOuter(width int, s, a, y []float32) { addOuterGo(width, s, a, y) }

func scale(width int, s, x, y []float32) { scaleGo(width, s, x, y) }

func (p *Pair) row(i int, b block, sum, dot []float32) { p.rowGo(i, b, sum, dot) }
