package main

import (
	"context"
	"errors"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

// Nobody waits for a load after the context has ended, and what it opens is closed.
func TestUntilDone(t *testing.T) {
	want, failed := &formats.Dataset{Name: "it"}, errors.New("no such folder")
	if ds, err := untilDone(t.Context(), func() (*formats.Dataset, error) { return want, nil }); ds != want || err != nil {
		t.Errorf("untilDone = %v, %v, want the data", ds, err)
	}
	if _, err := untilDone(t.Context(), func() (*formats.Dataset, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Errorf("untilDone = %v, want the load's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began, goOn, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		<-began
		cancel()
	}()
	_, err := untilDone(ctx, func() (*formats.Dataset, error) {
		close(began)
		<-goOn
		return &formats.Dataset{Close: func() error { close(closed); return nil }}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("untilDone = %v, want %v", err, context.Canceled)
	}
	close(goOn)
	<-closed
	whileWanted(ctx, func() { t.Error("told of a load that nobody waits for") })
}
