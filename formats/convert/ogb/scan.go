package ogb

import (
	"context"
	"math"

	"github.com/saint-gnn/saint/formats"
)

// readLines scans a CSV file of the set with progress.
func readLines[T any](ctx context.Context, c *converter, name string, t *text, parse func([]byte) (T, *lineError), take func(T) error) (int64, error) {
	s := &scanner{path: t.path, workers: c.o.Workers, broken: t.readError, after: func(lines int64) {
		c.o.Progress(Step{name, t.in.n.Load(), t.in.size, lines})
	}}
	return scanLines(ctx, s, t, parse, take)
}

// readColumn reads a small file of one number a line.
func (c *converter) readColumn(ctx context.Context, name string, nodes int) ([]int32, error) {
	t, err := c.src.openText(name)
	if err != nil {
		return nil, err
	}
	defer t.close()
	var out []int32
	_, err = readLines(ctx, c, name, t, func(b []byte) ([]int32, *lineError) { return parseIDs(b, nodes) }, func(ids []int32) error {
		out = append(out, ids...)
		return nil
	})
	return out, err
}

// readCount reads a file that holds the size of the only graph.
func (c *converter) readCount(ctx context.Context, name, what string) (int, error) {
	t, err := c.src.openText(name)
	if err != nil {
		return 0, err
	}
	defer t.close()
	var counts []int64
	_, err = readLines(ctx, c, name, t, parseCounts, func(n []int64) error {
		counts = append(counts, n...)
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case len(counts) != 1:
		return 0, formats.BadInput(t.path, "%d lines, want one: the number of %s of the only graph", len(counts), what)
	}
	return int(counts[0]), nil
}

// maxCount bounds declared sizes: no set comes near it, and sums of such numbers are exact.
const maxCount = 1 << 40

// parseCounts parses lines of one count.
func parseCounts(text []byte) ([]int64, *lineError) {
	var out []int64
	for c := newCursor(text); c.more(); {
		x, n, ok := parseFloat(c.text[c.at:])
		if !ok || x < 0 || x > maxCount || x != math.Trunc(x) {
			return nil, c.fail("%s, want a whole number up to %d", c.shown(), int64(maxCount))
		}
		c.at += n
		if bad := c.newline(1); bad != nil {
			return nil, bad
		}
		out = append(out, int64(x))
	}
	return out, nil
}
