//go:build !linux

package remote

import (
	"context"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
)

// ring exists on Linux only.
type ring struct {
	folder string
	slots  []struct{}
}

func newRing(string, int, *budget) (*ring, error)         { return nil, errNoSharing }
func (r *ring) close()                                    {}
func (r *ring) opened(context.Context) error              { return errNoSharing }
func (r *ring) reap(context.Context)                      {}
func (r *ring) room(_, _ context.Context) error           { return errNoSharing }
func (r *ring) publish(*loader.Batch) (int, int64, error) { return 0, 0, errNoSharing }
func sweep(string)                                        {}
func attachRing(string, int) (*attached, error)           { return nil, errNoSharing }
func (r *ring) fill(int, *loader.Batch, *arrow.Schema, formats.FeatureStore) error {
	return errNoSharing
}

// attached exists on Linux only.
type attached struct{}

func (a *attached) take(int, int64) ([]byte, error) { return nil, errNoSharing }
func (a *attached) put(int)                         {}
func (a *attached) detach()                         {}
