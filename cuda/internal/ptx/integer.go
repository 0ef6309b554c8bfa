package ptx

import (
	"fmt"
	"math/bits"
)

// signed makes the sign of a value of that many bits.
func signed(v uint64, width int) int64 {
	shift := 64 - width
	return int64(v<<shift) >> shift
}

func mask(width int) uint64 { return ^uint64(0) >> (64 - width) }

// integers adds arithmetic on integers of 16, 32 and 64 bits.
func integers(all map[string]operation) {
	for _, width := range []int{16, 32, 64} {
		m := mask(width)
		for _, t := range []string{"s", "u"} {
			typ := fmt.Sprintf("%s%d", t, width)
			all["add."+typ] = operation{operands: 2, two: func(a, b uint64) uint64 { return (a + b) & m }}
			all["sub."+typ] = operation{operands: 2, two: func(a, b uint64) uint64 { return (a - b) & m }}
			all["mul.lo."+typ] = operation{operands: 2, two: func(a, b uint64) uint64 { return a * b & m }}
			all["mad.lo."+typ] = operation{operands: 3, three: func(a, b, c uint64) uint64 { return (a*b + c) & m }}
		}
		signedOnly(all, width)
		unsignedOnly(all, width)
	}
	products(all)
}

// signedOnly adds what depends on the sign.
func signedOnly(all map[string]operation, width int) {
	m := mask(width)
	s := func(v uint64) int64 { return signed(v, width) }
	two := func(name string, f func(a, b int64) int64) {
		all[fmt.Sprintf("%s.s%d", name, width)] = operation{operands: 2, two: func(a, b uint64) uint64 { return uint64(f(s(a), s(b))) & m }}
	}
	one := func(name string, f func(a int64) int64) {
		all[fmt.Sprintf("%s.s%d", name, width)] = operation{operands: 1, one: func(a uint64) uint64 { return uint64(f(s(a))) & m }}
	}
	two("div", divide)
	two("rem", func(a, b int64) int64 { return a - divide(a, b)*b })
	two("min", func(a, b int64) int64 { return min(a, b) })
	two("max", func(a, b int64) int64 { return max(a, b) })
	two("shr", func(a, b int64) int64 { return a >> min(uint32(b), 63) })
	one("neg", func(a int64) int64 { return -a })
	one("abs", func(a int64) int64 { return max(a, -a) })
}

func unsignedOnly(all map[string]operation, width int) {
	m := mask(width)
	two := func(name string, f func(a, b uint64) uint64) {
		all[fmt.Sprintf("%s.u%d", name, width)] = operation{operands: 2, two: func(a, b uint64) uint64 { return f(a&m, b&m) & m }}
	}
	two("div", divideUnsigned)
	two("rem", func(a, b uint64) uint64 { return a - divideUnsigned(a, b)*b })
	two("min", func(a, b uint64) uint64 { return min(a, b) })
	two("max", func(a, b uint64) uint64 { return max(a, b) })
	two("shr", shiftRight)
}

// divide gives all ones for a division by zero, as GPUs do.
func divide(a, b int64) int64 {
	if b == 0 {
		return -1
	}
	return a / b
}

func divideUnsigned(a, b uint64) uint64 {
	if b == 0 {
		return ^uint64(0)
	}
	return a / b
}

func shiftRight(a, b uint64) uint64 {
	if b &= 0xffffffff; b > 63 {
		return 0
	}
	return a >> b
}

// products adds those whose result is wider than the operands.
func products(all map[string]operation) {
	for _, width := range []int{16, 32} {
		m := mask(2 * width)
		s := func(v uint64) uint64 { return uint64(signed(v, width)) }
		u := func(v uint64) uint64 { return v & mask(width) }
		for t, wide := range map[string]func(uint64) uint64{"s": s, "u": u} {
			typ := fmt.Sprintf("%s%d", t, width)
			all["mul.wide."+typ] = operation{operands: 2, two: func(a, b uint64) uint64 { return wide(a) * wide(b) & m }}
			all["mad.wide."+typ] = operation{operands: 3, three: func(a, b, c uint64) uint64 { return (wide(a)*wide(b) + c) & m }}
			all["mul.hi."+typ] = operation{operands: 2, two: func(a, b uint64) uint64 { return wide(a) * wide(b) >> width & mask(width) }}
		}
	}
	all["mul.hi.u64"] = operation{operands: 2, two: func(a, b uint64) uint64 { hi, _ := bits.Mul64(a, b); return hi }}
}

// bitsOf adds operations on that many bits.
func bitsOf(all map[string]operation, width int) {
	m := mask(width)
	typ := fmt.Sprintf("b%d", width)
	two := func(name string, f func(a, b uint64) uint64) {
		all[name+"."+typ] = operation{operands: 2, two: func(a, b uint64) uint64 { return f(a, b) & m }}
	}
	two("and", func(a, b uint64) uint64 { return a & b })
	two("or", func(a, b uint64) uint64 { return a | b })
	two("xor", func(a, b uint64) uint64 { return a ^ b })
	two("shr", func(a, b uint64) uint64 { return shiftRight(a&m, b) })
	two("shl", func(a, b uint64) uint64 {
		if b &= 0xffffffff; b > 63 {
			return 0
		}
		return a << b
	})
	all["not."+typ] = operation{operands: 1, one: func(a uint64) uint64 { return ^a & m }}
	all["popc."+typ] = operation{operands: 1, one: func(a uint64) uint64 { return uint64(bits.OnesCount64(a & m)) }}
	all["clz."+typ] = operation{operands: 1, one: func(a uint64) uint64 { return uint64(bits.LeadingZeros64(a&m) - 64 + width) }}
	all["bfi."+typ] = operation{operands: 4, four: func(a, b, pos, n uint64) uint64 {
		pos, n = pos&0xff, n&0xff
		if pos >= uint64(width) {
			return b & m
		}
		field := mask64(n) << pos & m
		return b&m&^field | a<<pos&field
	}}
	all["bfe.u"+typ[1:]] = operation{operands: 3, three: func(a, pos, n uint64) uint64 { return shiftRight(a&m, pos&0xff) & mask64(n&0xff) }}
}

// mask64 returns n ones.
func mask64(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	return ^uint64(0) >> (64 - min(n, 64))
}

// logic adds operations on bits and predicates.
func logic(all map[string]operation) {
	for _, width := range []int{16, 32, 64} {
		bitsOf(all, width)
	}
	p := func(name string, f func(a, b uint64) uint64) {
		all[name+".pred"] = operation{operands: 2, two: f}
	}
	p("and", func(a, b uint64) uint64 { return a & b })
	p("or", func(a, b uint64) uint64 { return a | b })
	p("xor", func(a, b uint64) uint64 { return a ^ b })
	all["not.pred"] = operation{operands: 1, one: func(a uint64) uint64 { return a ^ 1 }}
	all["lop3.b32"] = operation{operands: 4, four: func(a, b, c, table uint64) uint64 {
		var r uint64
		for i := range 32 {
			r |= table >> (a>>i&1<<2 | b>>i&1<<1 | c>>i&1) & 1 << i
		}
		return r
	}}
	for _, mode := range []string{"wrap", "clamp"} {
		count := func(n uint64) uint64 {
			if mode == "wrap" {
				return n & 31
			}
			return min(n&mask(32), 32)
		}
		all["shf.r."+mode+".b32"] = operation{operands: 3, three: func(a, b, n uint64) uint64 { return (b<<32 | a&mask(32)) >> count(n) & mask(32) }}
		all["shf.l."+mode+".b32"] = operation{operands: 3, three: func(a, b, n uint64) uint64 { return (b<<32 | a&mask(32)) << count(n) >> 32 & mask(32) }}
	}
	all["prmt.b32"] = operation{operands: 3, three: func(a, b, c uint64) uint64 {
		both, r := a&0xffffffff|b<<32, uint64(0)
		for i := range 4 {
			sel := c >> (4 * i) & 0xf
			v := both >> (8 * (sel & 7)) & 0xff
			if sel&8 != 0 {
				v = v >> 7 * 0xff
			}
			r |= v << (8 * i)
		}
		return r
	}}
}
