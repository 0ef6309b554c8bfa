package ptx

import (
	"fmt"
	"math"
	"strings"
)

func f32(v uint64) float32 { return math.Float32frombits(uint32(v)) }

func u32(v float32) uint64 { return uint64(math.Float32bits(v)) }

func f64(v uint64) float64 { return math.Float64frombits(v) }

func u64(v float64) uint64 { return math.Float64bits(v) }

// singles adds arithmetic on float32.
func singles(all map[string]operation) {
	two := func(name string, f func(a, b float32) float32) {
		all[name+".f32"] = operation{operands: 2, two: func(a, b uint64) uint64 { return u32(f(f32(a), f32(b))) }}
	}
	one := func(name string, f func(a float32) float32) {
		all[name+".f32"] = operation{operands: 1, one: func(a uint64) uint64 { return u32(f(f32(a))) }}
	}
	for _, round := range []string{"", ".rn"} {
		two("add"+round, func(a, b float32) float32 { return a + b })
		two("sub"+round, func(a, b float32) float32 { return a - b })
		two("mul"+round, func(a, b float32) float32 { return a * b })
	}
	two("add.rz", func(a, b float32) float32 { return toZero(float64(a) + float64(b)) })
	two("div.rn", func(a, b float32) float32 { return a / b })
	two("min", minimum)
	two("max", func(a, b float32) float32 { return -minimum(-a, -b) })
	one("neg", func(a float32) float32 { return -a })
	one("abs", func(a float32) float32 { return float32(math.Abs(float64(a))) })
	one("rcp.rn", func(a float32) float32 { return 1 / a })
	one("sqrt.rn", func(a float32) float32 { return float32(math.Sqrt(float64(a))) })
	one("ex2.approx", func(a float32) float32 { return float32(math.Exp2(float64(a))) })
	one("ex2.approx.ftz", func(a float32) float32 { return flush(float32(math.Exp2(float64(flush(a))))) })
	one("lg2.approx", func(a float32) float32 { return float32(math.Log2(float64(a))) })
	one("lg2.approx.ftz", func(a float32) float32 { return float32(math.Log2(float64(flush(a)))) })
	three := func(name string, f func(a, b, c float32) float32) {
		all[name+".f32"] = operation{operands: 3, three: func(a, b, c uint64) uint64 { return u32(f(f32(a), f32(b), f32(c))) }}
	}
	three("fma.rn", fma32)
	three("fma.rm", func(a, b, c float32) float32 { return down(math.FMA(float64(a), float64(b), float64(c))) })
}

// doubles adds arithmetic on float64.
func doubles(all map[string]operation) {
	two := func(name string, f func(a, b float64) float64) {
		all[name+".f64"] = operation{operands: 2, two: func(a, b uint64) uint64 { return u64(f(f64(a), f64(b))) }}
	}
	one := func(name string, f func(a float64) float64) {
		all[name+".f64"] = operation{operands: 1, one: func(a uint64) uint64 { return u64(f(f64(a))) }}
	}
	for _, round := range []string{"", ".rn"} {
		two("add"+round, func(a, b float64) float64 { return a + b })
		two("sub"+round, func(a, b float64) float64 { return a - b })
		two("mul"+round, func(a, b float64) float64 { return a * b })
	}
	two("div.rn", func(a, b float64) float64 { return a / b })
	one("neg", func(a float64) float64 { return -a })
	one("abs", math.Abs)
	one("sqrt.rn", math.Sqrt)
	one("rcp.rn", func(a float64) float64 { return 1 / a })
	all["fma.rn.f64"] = operation{operands: 3, three: func(a, b, c uint64) uint64 { return u64(math.FMA(f64(a), f64(b), f64(c))) }}
}

// minimum is the other operand where one is NaN.
func minimum(a, b float32) float32 {
	switch {
	case a != a:
		return b
	case b != b:
		return a
	}
	return float32(math.Min(float64(a), float64(b)))
}

// flush makes a subnormal number zero.
func flush(v float32) float32 {
	if b := math.Float32bits(v); b&0x7f800000 == 0 {
		return math.Float32frombits(b & 0x80000000)
	}
	return v
}

// fma32 rounds once: the sum in float64 is rounded to odd, so that rounding it to float32 gives
// what rounding the exact sum would.
func fma32(a, b, c float32) float32 {
	p, z := float64(a)*float64(b), float64(c) // exact
	s := p + z
	if s-s != 0 { // infinite or NaN
		return float32(s)
	}
	// The rounding error (Knuth's two-sum).
	t := s - p
	e := (p - (s - t)) + (z - t)
	if e != 0 && math.Float64bits(s)&1 == 0 {
		to := math.Inf(1)
		if e < 0 {
			to = math.Inf(-1)
		}
		s = math.Nextafter(s, to)
	}
	return float32(s)
}

// down rounds to float32 towards minus infinity.
func down(v float64) float32 {
	f := float32(v)
	if float64(f) > v {
		f = math.Nextafter32(f, float32(math.Inf(-1)))
	}
	return f
}

// toZero rounds to float32 towards zero.
func toZero(v float64) float32 {
	f := float32(v)
	if math.Abs(float64(f)) > math.Abs(v) {
		f = math.Nextafter32(f, 0)
	}
	return f
}

// compareOf makes setp.op.type and setp.op.bool.type, whose third operand is a predicate.
func compareOf(parts []string) (operation, bool) {
	if len(parts) < 3 || len(parts) > 4 || parts[len(parts)-1] == "" {
		return operation{}, false
	}
	f := comparison(parts[1], parts[len(parts)-1])
	if f == nil {
		return operation{}, false
	}
	if len(parts) == 3 {
		return operation{operands: 2, two: func(a, b uint64) uint64 { return truth(f(a, b)) }}, true
	}
	join := map[string]func(a, b bool) bool{
		"and": func(a, b bool) bool { return a && b },
		"or":  func(a, b bool) bool { return a || b },
		"xor": func(a, b bool) bool { return a != b },
	}[parts[2]]
	if join == nil {
		return operation{}, false
	}
	return operation{operands: 3, three: func(a, b, c uint64) uint64 { return truth(join(f(a, b), c != 0)) }}, true
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// comparison returns a relation by its name in PTX.
func comparison(op, typ string) func(a, b uint64) bool {
	var width int
	if _, err := fmt.Sscanf(typ[1:], "%d", &width); err != nil {
		return nil
	}
	switch typ[0] {
	case 's':
		return ordered(op, func(v uint64) int64 { return signed(v, width) })
	case 'u', 'b':
		return ordered(op, func(v uint64) uint64 { return v & mask(width) })
	}
	read := f64
	if width == 32 {
		read = func(v uint64) float64 { return float64(f32(v)) }
	}
	nan := func(a, b uint64) bool { return math.IsNaN(read(a)) || math.IsNaN(read(b)) }
	switch {
	case op == "nan":
		return nan
	case op == "num":
		return func(a, b uint64) bool { return !nan(a, b) }
	case len(op) == 3 && strings.HasSuffix(op, "u"):
		f := ordered(op[:2], read)
		if f == nil {
			return nil
		}
		return func(a, b uint64) bool { return nan(a, b) || f(a, b) }
	case op == "ne":
		return func(a, b uint64) bool { return !nan(a, b) && read(a) != read(b) }
	}
	return ordered(op, read)
}

func ordered[T int64 | uint64 | float64](op string, read func(uint64) T) func(a, b uint64) bool {
	switch op {
	case "lt", "lo":
		return func(a, b uint64) bool { return read(a) < read(b) }
	case "le", "ls":
		return func(a, b uint64) bool { return read(a) <= read(b) }
	case "gt", "hi":
		return func(a, b uint64) bool { return read(a) > read(b) }
	case "ge", "hs":
		return func(a, b uint64) bool { return read(a) >= read(b) }
	case "eq":
		return func(a, b uint64) bool { return read(a) == read(b) }
	case "ne":
		return func(a, b uint64) bool { return read(a) != read(b) }
	}
	return nil
}
