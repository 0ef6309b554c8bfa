// Package hostmem keeps the working memory of training outside the Go heap: one large
// reservation of address space whose pages become real when first touched, and an offset
// allocator over it. A step and a full-graph evaluation that take turns share one
// reservation, so the process needs the larger of the two and not the sum, and the garbage
// collector neither scans that memory nor waits for it to double.
package hostmem
