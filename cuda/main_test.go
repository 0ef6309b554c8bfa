package cuda

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/cuda/internal/ptx"
	"github.com/saint-gnn/saint/cuda/kernels"
)

// whole reports whether all tests were run.
func whole() bool {
	for _, name := range []string{"test.run", "test.skip", "test.fuzz", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// TestMain checks that a whole run of the tests has launched every kernel that ships.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && !testing.Short() && whole() {
		var all []string
		for _, family := range kernels.Families() {
			mod, err := ptx.Parse(kernels.PTX(family))
			if err != nil {
				panic(err)
			}
			all = append(all, mod.Names()...)
		}
		slices.Sort(all)
		seen := fake.Launched()
		for _, name := range all {
			if !seen[name] {
				fmt.Printf("kernel %s is launched by no test\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}
