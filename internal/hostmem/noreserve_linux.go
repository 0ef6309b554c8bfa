package hostmem

import "syscall"

// mapNoReserve keeps untouched pages from counting against the commit limit.
const mapNoReserve = syscall.MAP_NORESERVE

// hugePages asks for large pages where the kernel hands them out on request: row gathers
// miss the TLB on every row otherwise.
func hugePages(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
