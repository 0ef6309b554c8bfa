package hostmem

import "syscall"

// mapNoReserve keeps untouched pages from counting against the commit limit.
const mapNoReserve = syscall.MAP_NORESERVE

// discard gives whole pages back; they read as zero when touched again.
func discard(b []byte) { _ = syscall.Madvise(b, syscall.MADV_DONTNEED) }

// hugePages asks for large pages where the kernel hands them out on request: row gathers
// miss the TLB on every row otherwise.
func hugePages(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
