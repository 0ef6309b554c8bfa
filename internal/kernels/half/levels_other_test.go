//go:build !amd64 || noasm

package half

import "testing"

// each runs f with every implementation that this processor has.
func each(t *testing.T, f func(t *testing.T, c codec)) {
	t.Run("portable", func(t *testing.T) { f(t, portable) })
}
