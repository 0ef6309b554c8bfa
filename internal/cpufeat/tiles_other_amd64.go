//go:build !linux && !noasm

package cpufeat

// permitTiles reports that kernels for AMX are used on Linux only.
func permitTiles() bool { return false }
