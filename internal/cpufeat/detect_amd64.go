//go:build !noasm

package cpufeat

import "golang.org/x/sys/cpu"

// detect relies on x/sys/cpu clearing the AVX flags where the operating system does not
// save the wide registers.
func detect() Level {
	x := &cpu.X86
	if !x.HasAVX || !x.HasAVX2 || !x.HasFMA {
		return Generic
	}
	if !x.HasAVX512F || !x.HasAVX512DQ || !x.HasAVX512BW || !x.HasAVX512VL {
		return AVX2
	}
	if !x.HasAMXTile || !x.HasAMXBF16 || !permitTiles() {
		return AVX512
	}
	return AMX
}
