package loader_test

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
)

// visit is a call of a tracer.
type visit struct {
	stage      string
	index      uint64
	begin, end time.Time
}

// recorder keeps what a pipeline tells, by worker.
type recorder struct {
	mu     sync.Mutex
	visits map[int][]visit
}

func (r *recorder) Stage(worker int, stage string, _ int, index uint64, begin, end time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.visits[worker] = append(r.visits[worker], visit{stage, index, begin, end})
}

// TestTracer: every stage of every batch is told once, by a worker that does nothing else then.
func TestTracer(t *testing.T) {
	rec := &recorder{visits: map[int][]visit{}}
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.Workers, cfg.Prefetch, cfg.To, cfg.Tracer = 3, 2, 20, rec
	if _, err := drain(t, open(t, cfg), func(*loader.Batch) error { return nil }); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	seen := map[string]map[uint64]int{}
	for worker, visits := range rec.visits {
		if worker < 0 || worker >= cfg.Workers {
			t.Errorf("worker %d of %d", worker, cfg.Workers)
		}
		var last time.Time
		for _, v := range visits {
			if v.begin.Before(last) || v.end.Before(v.begin) {
				t.Errorf("worker %d: %s of batch %d from %v to %v, after %v", worker, v.stage, v.index, v.begin, v.end, last)
			}
			last = v.end
			if seen[v.stage] == nil {
				seen[v.stage] = map[uint64]int{}
			}
			seen[v.stage][v.index]++
		}
	}
	for _, stage := range []string{"sample", "normalise", "transpose", "labels", "features"} {
		for i := range cfg.To {
			if n := seen[stage][i]; n != 1 {
				t.Errorf("stage %s of batch %d was told %d times, want once", stage, i, n)
			}
		}
	}
}
