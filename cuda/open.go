//go:build !cudafake

package cuda

import "github.com/saint-gnn/saint/cuda/internal/driver"

// openDriver returns the driver of this machine.
func openDriver() (driver.Driver, error) { return driver.Open() }
