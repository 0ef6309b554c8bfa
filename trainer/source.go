package trainer

import (
	"context"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
)

// openSource opens a pipeline; batches that are all the same are made once.
func openSource(ctx context.Context, c loader.Config) (loader.Source, error) {
	d, ok := c.Sampler.(samplers.Deterministic)
	if !ok || !d.Deterministic() || c.To <= c.From {
		return loader.Open(ctx, c)
	}
	from, to := c.From, c.To
	c.To = from + 1
	p, err := loader.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return loader.Repeat(p, from, to), nil
}
