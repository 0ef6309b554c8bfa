package hostmem

const (
	pageSize = 4096
	hugePage = 2 << 20
)

// Region is a range of address space. Not safe for concurrent use, except that disjoint
// parts of Bytes may be read and written freely.
type Region struct {
	b      []byte
	mapped bool
}

// Bytes returns the whole range. It starts at a page boundary where the system maps it; it
// is invalid after Close.
func (r *Region) Bytes() []byte { return r.b }

// HugePages asks the system to back the whole 2 MiB pages inside [lo,hi) with large pages
// when they are first touched, where it can.
func (r *Region) HugePages(lo, hi int64) {
	lo = (lo + hugePage - 1) / hugePage * hugePage
	hi = hi / hugePage * hugePage
	if r.mapped && lo < hi {
		hugePages(r.b[lo:hi])
	}
}

// Close returns the address space. Using Bytes afterwards crashes.
func (r *Region) Close() error {
	b := r.b
	r.b = nil
	if b == nil || !r.mapped {
		return nil
	}
	return unmap(b)
}
