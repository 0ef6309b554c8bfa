package samplers_test

import (
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
)

// TestEnvSymmetric: an Env of NewEnv looks at the graph once, a literal one each time.
func TestEnvSymmetric(t *testing.T) {
	symmetric := []int32{1, 0}
	for _, directed := range []bool{false, true} {
		g := &formats.Graph{Indptr: []int64{0, 1, 2}, Indices: append([]int32(nil), symmetric...)}
		if directed {
			g.Indices[1] = 1
		}
		once, literal := samplers.NewEnv(g, []int32{0}), samplers.Env{Graph: g, Train: []int32{0}}
		if got, again := once.Symmetric(), literal.Symmetric(); got == directed || again == directed {
			t.Errorf("directed %t: Symmetric() = %t and %t, want %t", directed, got, again, !directed)
		}
		g.Indices[1] = 1 - g.Indices[1] // no user of an Env may do this: it shows who looks again
		copied := once
		if got, again := copied.Symmetric(), literal.Symmetric(); got == directed || again != directed {
			t.Errorf("directed %t, after a change: Symmetric() = %t and %t, want %t and %t", directed, got, again, !directed, directed)
		}
	}
}
