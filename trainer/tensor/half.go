package tensor

// HalfRows is a Backend whose queues may take rows of half precision: GatherRows with a src of F16
// and a dst of F32 widens what it copies, before dropping. Import, Alloc and Upload know F16.
type HalfRows interface {
	HalfRows() bool
}

// TakesHalfRows reports whether b does.
func TakesHalfRows(b Backend) bool {
	h, ok := b.(HalfRows)
	return ok && h.HalfRows()
}
