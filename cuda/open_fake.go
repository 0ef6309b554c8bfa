//go:build cudafake

package cuda

import (
	"os"
	"strconv"
	"sync"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
)

// openDriver returns a driver without a GPU, on which kernels are interpreted: for trying programs and
// scripts out on small graphs. SAINT_FAKE_GPUS is the number of its devices, 1 if it is not set.
var openDriver = sync.OnceValues(func() (driver.Driver, error) {
	n, err := strconv.Atoi(os.Getenv("SAINT_FAKE_GPUS"))
	if err != nil || n < 1 {
		n = 1
	}
	return fake.New(fake.Options{Devices: n, Memory: 4 << 30, Library: true, Collective: n > 1}), nil
})
