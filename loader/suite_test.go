package loader_test

import (
	"context"
	"testing"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
)

func TestPipeline(t *testing.T) {
	loadertest.Run(t, func(ctx context.Context, cfg loader.Config) (loader.Source, error) { return loader.Open(ctx, cfg) })
}
