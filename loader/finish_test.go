package loader_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
)

// TestFinish: the last stage sees every batch complete, may add to it, and has its slot alone
// until the batch is released.
func TestFinish(t *testing.T) {
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.Workers, cfg.Prefetch, cfg.To = 3, 2, 40
	x := cfg.Features
	cfg.Features = nil
	slots, err := cfg.Slots()
	if err != nil || slots != 6 {
		t.Fatalf("Slots() = %d, %v, want 6", slots, err)
	}
	var mu sync.Mutex
	held := make(map[int]*loader.Batch)
	rows := make([][]float32, slots)
	finish := cfg
	finish.Finish = func(slot int, b *loader.Batch) error {
		mu.Lock()
		if slot < 0 || slot >= slots || held[slot] != nil {
			t.Errorf("batch %d is finished in slot %d of %d, which is taken", b.Index, slot, slots)
		}
		held[slot] = b
		mu.Unlock()
		if n := len(b.Nodes) * x.Dim(); len(rows[slot]) < n {
			rows[slot] = make([]float32, n)
		}
		b.Features = rows[slot][:len(b.Nodes)*x.Dim()]
		return x.Gather(b.Features, b.Nodes)
	}
	cfg.Features = x
	n, err := drain(t, open(t, finish), func(b *loader.Batch) error {
		mu.Lock()
		defer mu.Unlock()
		for slot, other := range held {
			if other == b {
				delete(held, slot)
			}
		}
		return loadertest.Diff(b, loadertest.Want(cfg, b.Index))
	})
	if !errors.Is(err, io.EOF) || n != 40 {
		t.Fatalf("%d batches, %v, want 40", n, err)
	}
}

// TestFinishFails: its errors and panics are those of the batch.
func TestFinishFails(t *testing.T) {
	for name, finish := range map[string]func(int, *loader.Batch) error{
		"error": func(int, *loader.Batch) error { return errors.New("no room") },
		"panic": func(int, *loader.Batch) error { panic("no room") },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := loadertest.Config(loadertest.Kind{})
			cfg.To = 5
			cfg.Finish = func(slot int, b *loader.Batch) error {
				if b.Index < 3 {
					return nil
				}
				return finish(slot, b)
			}
			n, err := drain(t, open(t, cfg), func(*loader.Batch) error { return nil })
			var stage *loader.StageError
			if n != 3 || !errors.As(err, &stage) || stage.Stage != "finish" || !strings.Contains(err.Error(), "no room") {
				t.Errorf("%d batches, %v, want 3 and what went wrong", n, err)
			}
		})
	}
}
