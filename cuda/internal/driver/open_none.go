//go:build !(cuda && linux && (amd64 || arm64))

package driver

// Open returns the driver of this machine. The error says why there is none.
func Open() (Driver, error) { return nil, ErrNotBuilt }
