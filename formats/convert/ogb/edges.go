package ogb

import (
	"context"
	"fmt"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npz"
)

// edgeText delivers the edges of a CSV file in blocks.
func (c *converter) edgeText(ctx context.Context, n int, declared int64, take func(pairs) error) error {
	t, err := c.src.openText(edgeFile)
	if err != nil {
		return err
	}
	defer t.close()
	seen := int64(0)
	lines, err := readLines(ctx, c, edgeFile, t, func(b []byte) (pairs, *lineError) {
		p, bad := parsePairs(b, n)
		return p, bad
	}, func(p pairs) error {
		if seen += int64(len(p) / 2); seen > declared {
			return &formats.InputError{Path: t.path, Line: int(declared) + 1, Offset: -1, Err: fmt.Errorf("more edges than the %d that %s declares", declared, numEdgesFile)}
		}
		return take(p)
	})
	if err != nil {
		return err
	}
	return checkLines(t.path, "edges", lines, declared)
}

// pairBlock is the number of edges that are read from an array at a time.
const pairBlock = 1 << 16

// edgeData delivers the edges of the array edge_index, (2, E), in blocks. All sources stand
// before all targets, so that two readers walk through it.
func (c *converter) edgeData(ctx context.Context, a *npz.Archive, n int, take func(pairs) error) error {
	sources, err := a.Stream("edge_index")
	if err != nil {
		return c.inSource(dataFile, err)
	}
	defer sources.Close() //nolint:errcheck // opened for reading
	targets, err := a.Stream("edge_index")
	if err != nil {
		return c.inSource(dataFile, err)
	}
	defer targets.Close() //nolint:errcheck // opened for reading
	h := targets.Header()
	count := h.Shape[1]
	if !h.Fortran {
		if err := targets.Skip(count); err != nil {
			return c.inSource(dataFile, err)
		}
	}
	from, to := make([]int32, pairBlock), make([]int32, pairBlock)
	for at := 0; at < count; at += pairBlock {
		if err := ctx.Err(); err != nil {
			return err
		}
		k := min(pairBlock, count-at)
		p := make(pairs, 2*k)
		if h.Fortran {
			err = targets.Int32s(p)
		} else if err = sources.Int32s(from[:k]); err == nil {
			err = targets.Int32s(to[:k])
			for i := range k {
				p[2*i], p[2*i+1] = from[i], to[i]
			}
		}
		if err != nil {
			return c.inSource(dataFile, err)
		}
		for i, v := range p {
			if v < 0 || int(v) >= n {
				return formats.BadInput(c.src.at(dataFile), "array edge_index: edge %d has node %d, but there are %d nodes (ids 0 to %d)", at+i/2, v, n, n-1)
			}
		}
		if err := take(p); err != nil {
			return err
		}
		done := int64(at + k)
		c.o.Progress(Step{"edge_index of " + dataFile, done * 2 * int64(h.ItemSize), h.DataSize(), done})
	}
	return c.inSource(dataFile, targets.Finish())
}
