package loader_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
)

func TestRepeat(t *testing.T) {
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.From, cfg.To = 5, 6
	p, err := loader.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := loader.Repeat(p, 5, 8)
	for i := uint64(5); i < 8; i++ {
		b, err := r.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		want := loadertest.Want(cfg, 5)
		want.Index = i
		if err := loadertest.Diff(b, want); err != nil || !b.Repeats {
			t.Errorf("batch %d, which repeats: %v: %v", i, b.Repeats, err)
		}
		b.Release()
	}
	if _, err := r.Next(context.Background()); !errors.Is(err, io.EOF) {
		t.Errorf("Next after the end = %v, want EOF", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if _, err := r.Next(context.Background()); !errors.Is(err, loader.ErrClosed) {
		t.Errorf("Next after Close = %v, want ErrClosed", err)
	}
}

func TestRepeatReleasedAfterClose(t *testing.T) {
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.To = 1
	p, err := loader.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := loader.Repeat(p, 0, 8)
	b, err := r.Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if len(b.Nodes) == 0 {
		t.Error("Close took the batch away from its user")
	}
	b.Release()
	if n := p.Stats().Bytes; n != 0 {
		t.Errorf("%d bytes held after everything was released, want 0", n)
	}
}
