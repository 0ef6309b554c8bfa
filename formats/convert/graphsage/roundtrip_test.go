package graphsage

import (
	"path/filepath"
	"testing"

	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/converttest"
)

func TestRoundTrip(t *testing.T) {
	for name, set := range converttest.Sets(t) {
		t.Run(name, func(t *testing.T) {
			raw := set(t)
			dir := filepath.Join(t.TempDir(), "out")
			r := assemble.Reports{Warn: func(s string) { t.Log(s) }}
			if err := Write(t.Context(), dir, "x", raw, r); err != nil {
				t.Fatal(err)
			}
			got, err := Read(t.Context(), dir, ReadOptions{Reports: r})
			if err != nil {
				t.Fatal(err)
			}
			converttest.Same(t, got, raw)
		})
	}
}
