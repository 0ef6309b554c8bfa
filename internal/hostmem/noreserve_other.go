//go:build unix && !linux

package hostmem

// mapNoReserve is not needed where untouched anonymous pages count against no limit.
const mapNoReserve = 0

// discard does nothing where giving pages back differs between systems.
func discard([]byte) {}

func hugePages([]byte) {}
