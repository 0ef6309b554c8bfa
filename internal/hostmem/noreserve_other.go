//go:build unix && !linux

package hostmem

// mapNoReserve is not needed where untouched anonymous pages count against no limit.
const mapNoReserve = 0

func hugePages([]byte) {}
