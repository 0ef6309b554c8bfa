package peak

import (
	"testing"
	"time"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/workers"
)

func TestGFLOPS(t *testing.T) {
	g := workers.New(1)
	defer g.Close()
	for l := cpufeat.Generic; l <= cpufeat.Best(); l++ {
		got := GFLOPS(g, l, 4*time.Millisecond)
		if got < 0.01 || got > 1e4 {
			t.Errorf("GFLOPS(1 thread, %v) = %v, which no processor does", l, got)
		}
		t.Logf("%v: %.1f GFLOP/s on one thread", l, got)
	}
}

func TestBandwidth(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 384 MiB")
	}
	g := workers.New(2)
	defer g.Close()
	got := Bandwidth(g, time.Millisecond)
	if got < 1e7 || got > 1e14 {
		t.Errorf("Bandwidth(2 threads) = %v, which no memory does", got)
	}
	t.Logf("%.1f GB/s on two threads", got/1e9)
}
