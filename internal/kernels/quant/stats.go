package quant

import "math"

// Levels returns the largest code.
func Levels(bits int) float32 { return float32(int(1)<<bits - 1) }

// Stats returns zero and step of codes for values from lo to hi: zero is lo, and zero plus the
// largest code times step is not below hi.
func Stats(bits int, lo, hi float32) (zero, step float32) {
	levels := Levels(bits)
	step = (hi - lo) / levels
	if float32(step*levels) < hi-lo {
		step = math.Nextafter32(step, float32(math.Inf(1)))
	}
	return lo, step
}

// Stats16 is Stats for statistics of half the size: zero as a bfloat16, rounded down, in the low
// half and step, rounded up, in the high half. Values between lo and hi keep their mean, because
// the codes are made with the rounded statistics; their variance grows with the square of step.
func Stats16(bits int, lo, hi float32) uint32 {
	low := down(lo)
	step := (hi - wide(low)) / Levels(bits)
	return low | up(step)<<16
}

// Split returns the statistics that Stats16 packed.
func Split(packed uint32) (zero, step float32) { return wide(packed & 0xFFFF), wide(packed >> 16) }

// Inverse returns One/step, which Pack wants; 0 for values that are all the same.
func Inverse(step float32) float32 {
	if step == 0 {
		return 0
	}
	return min(One/step, math.MaxFloat32)
}

// up returns the least bfloat16 that is not below v.
func up(v float32) uint32 { return down(-v) ^ 1<<15 }

// wide returns the value of a bfloat16.
func wide(h uint32) float32 { return math.Float32frombits(h << 16) }

// down returns the largest bfloat16 that is not above v.
func down(v float32) uint32 {
	b := math.Float32bits(v)
	if b>>31 != 0 && b&0xFFFF != 0 {
		b += 1 << 16
	}
	return b >> 16
}
