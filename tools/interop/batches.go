package main

import (
	"errors"
	"io"
	"os"

	"github.com/saint-gnn/saint/formats/arrowrec"
)

// batch is one row of a stream.
type batch struct {
	Index    uint64 `json:"index"`
	Nodes    *array `json:"nodes"`
	Indptr   *array `json:"indptr"`
	Indices  *array `json:"indices"`
	EdgeIDs  *array `json:"edge_ids"`
	AdjNorm  *array `json:"adj_norm"`
	LossNorm *array `json:"loss_norm"`
	Features *array `json:"features"`
	Class    *array `json:"class"`
	Multi    *array `json:"multi"`
}

func vector[T any](dtype string, v []T, errs *error) *array {
	a, err := pack(dtype, []int{len(v)}, v)
	*errs = errors.Join(*errs, err)
	return a
}

func newBatch(r *arrowrec.Row) (b batch, err error) {
	return batch{
		r.Index, vector("int32", r.Nodes, &err), vector("int32", r.Indptr, &err), vector("int32", r.Indices, &err),
		vector("int64", r.EdgeIDs, &err), vector("float32", r.AdjNorm, &err), vector("float32", r.LossNorm, &err),
		vector("float32", r.Features, &err), vector("int32", r.Class, &err), vector("uint8", r.Multi, &err),
	}, err
}

func batchesRead(q fileArgs) (any, error) {
	var all []batch
	meta, err := eachBatch(q.Path, func(r *arrowrec.Row, _ *arrowrec.Meta) error {
		b, err := newBatch(r)
		all = append(all, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"meta": meta, "batches": all}, nil
}

func eachBatch(path string, take func(r *arrowrec.Row, m *arrowrec.Meta) error) (arrowrec.Meta, error) {
	f, err := os.Open(path)
	if err != nil {
		return arrowrec.Meta{}, err
	}
	defer f.Close() //nolint:errcheck // nothing is written
	r, err := arrowrec.NewReader(f, path)
	if err != nil {
		return arrowrec.Meta{}, err
	}
	defer r.Close()
	meta := r.Meta()
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return meta, nil
		}
		if err == nil {
			err = take(&row, &meta)
		}
		if err != nil {
			return meta, err
		}
	}
}

// batchesCopy reads a stream and writes it anew.
func batchesCopy(q struct {
	Path string `json:"path"`
	Out  string `json:"out"`
},
) (result any, err error) {
	out, err := os.Create(q.Out)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var w *arrowrec.Writer
	_, err = eachBatch(q.Path, func(r *arrowrec.Row, m *arrowrec.Meta) error {
		schema := arrowrec.Schema(*m)
		if w == nil {
			w = arrowrec.NewWriter(out, schema)
		}
		rec := arrowrec.Record(schema, r)
		defer rec.Release()
		return w.Write(rec)
	})
	if err != nil || w == nil {
		return nil, errors.Join(err, errors.New("nothing was copied"))
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return w.Sum256(), nil
}
