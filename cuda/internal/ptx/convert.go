package ptx

import (
	"math"
	"slices"
	"strconv"
)

// number is a type of PTX: s, u, b or f with its width.
type number struct {
	class byte
	width int
}

func parseNumber(s string) (number, bool) {
	if len(s) < 2 {
		return number{}, false
	}
	width, err := strconv.Atoi(s[1:])
	ok := err == nil && (width == 8 || width == 16 || width == 32 || width == 64)
	return number{s[0], width}, ok && (s[0] != 'f' || width >= 32)
}

// convertOf makes cvt[.rounding][.ftz][.sat].to.from.
func convertOf(parts []string) (operation, bool) {
	if len(parts) < 3 {
		return operation{}, false
	}
	to, ok1 := parseNumber(parts[len(parts)-2])
	from, ok2 := parseNumber(parts[len(parts)-1])
	if !ok1 || !ok2 {
		return operation{}, false
	}
	mods := parts[1 : len(parts)-2]
	round := func(v float64) float64 { return v }
	for name, f := range map[string]func(float64) float64{"rzi": math.Trunc, "rmi": math.Floor, "rpi": math.Ceil, "rni": math.RoundToEven} {
		if slices.Contains(mods, name) {
			round = f
		}
	}
	for _, m := range mods {
		if !slices.Contains([]string{"rn", "rzi", "rmi", "rpi", "rni", "ftz", "sat"}, m) {
			return operation{}, false
		}
	}
	saturate := slices.Contains(mods, "sat")
	var one func(uint64) uint64
	switch {
	case from.class == 'f' && to.class == 'f':
		one = func(a uint64) uint64 { return to.float(clampUnit(round(from.read(a)), saturate)) }
	case from.class == 'f':
		one = func(a uint64) uint64 { return to.integer(round(from.read(a))) }
	case to.class == 'f':
		one = func(a uint64) uint64 { return to.fromInteger(from, a) }
	default:
		one = func(a uint64) uint64 { return to.resize(from, a) }
	}
	return operation{operands: 1, one: one}, true
}

func clampUnit(v float64, on bool) float64 {
	switch {
	case !on:
		return v
	case v != v:
		return 0
	}
	return max(0, min(1, v))
}

// read returns the value of a float.
func (n number) read(a uint64) float64 {
	if n.width == 32 {
		return float64(f32(a))
	}
	return f64(a)
}

// float returns the bits of a value.
func (n number) float(v float64) uint64 {
	if n.width == 32 {
		return u32(float32(v))
	}
	return u64(v)
}

// integer converts a rounded float, clamped to the type; NaN gives 0.
func (n number) integer(v float64) uint64 {
	if v != v {
		return 0
	}
	if n.class == 's' {
		least := -math.Ldexp(1, n.width-1)
		switch {
		case v <= least:
			return uint64(int64(-1)<<(n.width-1)) & mask(n.width)
		case v >= -least:
			return mask(n.width - 1)
		}
		return uint64(int64(v)) & mask(n.width)
	}
	switch {
	case v <= 0:
		return 0
	case v >= math.Ldexp(1, n.width):
		return mask(n.width)
	}
	return uint64(v)
}

// fromInteger converts an integer to a float, with one rounding.
func (n number) fromInteger(from number, a uint64) uint64 {
	if from.class == 's' {
		v := signed(a, from.width)
		if n.width == 32 {
			return u32(float32(v))
		}
		return u64(float64(v))
	}
	v := a & mask(from.width)
	if n.width == 32 {
		return u32(float32(v))
	}
	return u64(float64(v))
}

// resize converts between integers. A result narrower than its register has the sign of its type,
// and the register at least 16 bits: 32 are filled.
func (n number) resize(from number, a uint64) uint64 {
	v := a & mask(from.width)
	if from.class == 's' {
		v = uint64(signed(a, from.width))
	}
	if n.class == 's' && n.width < 32 {
		return uint64(signed(v, n.width)) & mask(32)
	}
	return v & mask(n.width)
}
