package gemm

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/saint-gnn/saint/internal/workers"
)

// Signals, switches of threads and the garbage collector do not disturb tiles.
func TestTilesUndisturbed(t *testing.T) {
	workspace, ok := onTiles()["amx"]
	if !ok {
		t.Skip("this processor or system has no tiles")
	}
	if err := pprof.StartCPUProfile(&bytes.Buffer{}); err == nil {
		defer pprof.StopCPUProfile()
	}
	incoming := make(chan os.Signal, 1)
	signal.Notify(incoming, syscall.SIGUSR1)
	defer signal.Stop(incoming)
	stop := make(chan struct{})
	var noise, products sync.WaitGroup
	noise.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = syscall.Kill(os.Getpid(), syscall.SIGUSR1)
				_ = make([]byte, 1<<20)
				runtime.GC()
			}
		}
	})
	for w := range 8 {
		products.Go(func() {
			p := newProduct(rand.New(rand.NewPCG(uint64(w), 8)), w%2 == 1, w%4 == 2, 100+w, 90, 1000, 0, 1, 0)
			g, ws := workers.New(2), workspace()
			defer g.Close()
			first, again := slices.Clone(p.c), slices.Clone(p.c)
			p.run(g, ws, first)
			p.compare(t, first, 17)
			for begin := time.Now(); time.Since(begin) < 300*time.Millisecond; {
				p.run(g, ws, again)
				if i := bitsDiffer(again, first); i >= 0 {
					t.Errorf("transposed %t, %t: element %d was %v and is %v", p.transA, p.transB, i, first[i], again[i])
					return
				}
			}
		})
	}
	products.Wait()
	close(stop)
	noise.Wait()
}
