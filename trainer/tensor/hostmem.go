package tensor

// HostAllocator is a Backend that has host memory which its copies reach at full speed and without
// another copy (page-locked memory). Safe for concurrent use.
type HostAllocator interface {
	// AllocHost returns memory that is not the garbage collector's; bytes is more than 0.
	AllocHost(bytes int64) ([]byte, error)
	// FreeHost takes back what AllocHost returned, before the backend is closed.
	FreeHost(b []byte) error
}
