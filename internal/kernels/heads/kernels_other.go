package heads

func dots(width int, x, a, s []float32) { dotsGo(width, x, a, s) }

func addOuter(width int, s, a, y []float32) { addOuterGo(width, s, a, y) }

func scale(width int, s, x, y []float32) { scaleGo(width, s, x, y) }

func (p *Pair) row(i int, sum, dot []float32) { p.rowGo(i, 0, len(sum), sum, dot) }
