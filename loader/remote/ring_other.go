//go:build !linux

package remote

import "context"

// ring exists on Linux only.
type ring struct {
	folder string
	slots  []struct{}
}

func newRing(string, int, *budget) (*ring, error)         { return nil, errNoSharing }
func (r *ring) close()                                    {}
func (r *ring) opened(context.Context) error              { return errNoSharing }
func (r *ring) acquire(_, _ context.Context) (int, error) { return 0, errNoSharing }
func (r *ring) write(int, [][]byte) (int64, error)        { return 0, errNoSharing }
func sweep(string)                                        {}
func attachRing(string, int) (*attached, error)           { return nil, errNoSharing }

// attached exists on Linux only.
type attached struct{}

func (a *attached) take(int, int64) ([]byte, error) { return nil, errNoSharing }
func (a *attached) put(int)                         {}
func (a *attached) detach()                         {}
