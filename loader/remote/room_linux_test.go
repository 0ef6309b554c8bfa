package remote_test

import (
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/loader/remote"
)

// A stream that finds no room in shared memory, at once or later, goes on over the network.
func TestSharedMemoryIsFull(t *testing.T) {
	for _, few := range []int64{0, 2} {
		t.Run(fmt.Sprintf("after %d slots", few), func(t *testing.T) {
			cfg := many(12)
			folder := t.TempDir()
			sc := serverConfig(cfg)
			sc.SharedFolder = folder
			remote.FillSharedMemory(t, few)
			r := serve(t, sc)
			c := clientConfig(cfg, r.host)
			c.SharedFolder = folder
			src := open(t, c)
			expectAll(t, src, cfg, 0, 12)
			if n := src.Stats().Reconnects; n != 0 {
				t.Errorf("%d attempts failed, want none", n)
			}
			if st := r.Stats(); st.Errors["FailedPrecondition"] != 1 {
				t.Errorf("errors = %v, want the one stream that found no room", st.Errors)
			}
		})
	}
}
