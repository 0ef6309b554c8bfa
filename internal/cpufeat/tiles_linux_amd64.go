//go:build !noasm

package cpufeat

import "syscall"

// permitTiles asks Linux for leave to use the tile registers, for all threads of the process
// and as long as it runs. Without leave the first use is a fatal signal; kernels before 5.16,
// some sandboxes and systems that keep the tiles from the process refuse. A thread that has
// used tiles needs 11 KiB of its signal stack for them, and Go's have 32 KiB.
func permitTiles() bool {
	const (
		archPrctl   = 158    // the system call
		requestPerm = 0x1023 // ARCH_REQ_XCOMP_PERM
		tileData    = 18     // XFEATURE_XTILE_DATA
	)
	_, _, errno := syscall.RawSyscall(archPrctl, requestPerm, tileData, 0)
	return errno == 0
}
