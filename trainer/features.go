package trainer

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// inMemory returns feats if they lie in memory, else nil.
func inMemory(feats formats.FeatureStore) formats.FeatureStore {
	if _, ok := formats.StoredOf(feats); ok {
		return feats
	}
	return nil
}

// halfFeatures returns the features of d in half precision, in memory if they are in memory.
func halfFeatures(c *trainconfig.Config, d *formats.Dataset) (formats.FeatureStore, error) {
	if msg := c.CheckFeatures(); msg != "" {
		return nil, errors.New(msg)
	}
	if formats.InHalf(d.Features) {
		return d.Features, nil
	}
	var x formats.FeatureStore
	var err error
	if inMemory(d.Features) != nil {
		x, _, err = formats.Halve(d.Features)
	} else {
		x, err = formats.Halved(d.Features)
	}
	if err != nil {
		return nil, formats.BadInput(d.Name, "%w", err)
	}
	return x, nil
}

// keepFeatures makes all rows visible to the device, in the type that they are stored in if it knows
// that.
func (s *Stepper) keepFeatures(feats formats.FeatureStore) error {
	in, ok := formats.StoredOf(feats)
	if !ok {
		return fmt.Errorf("features of %d nodes do not lie in memory", feats.Rows())
	}
	m := s.model
	t, bytes := tensor.F32, bytesOf(in.F32)
	if in.F16 != nil {
		if !tensor.TakesHalfRows(m.Backend) {
			return s.widenFeatures(feats)
		}
		t, bytes = tensor.F16, bytesOf(in.F16)
	}
	if m.Backend.Caps().SharedMemory {
		return m.Backend.Import(&s.feats, t, in.Rows, in.Dim, bytes)
	}
	s.allocFeatures(t, in.Rows, in.Dim)
	s.q.Upload(bytes, s.feats)
	return s.q.Sync()
}

// allocFeatures makes room for the features on the device.
func (s *Stepper) allocFeatures(t tensor.DType, rows, dim int) {
	a := s.model.arena
	before := a.Bytes()
	s.feats = a.Alloc(t, rows, dim)
	s.featBytes = a.Bytes() - before
}

// widenFeatures puts features on a device that knows single precision only.
func (s *Stepper) widenFeatures(feats formats.FeatureStore) error {
	const blockValues = 1 << 22
	rows, dim := feats.Rows(), feats.Dim()
	s.allocFeatures(tensor.F32, rows, dim)
	per := max(1, blockValues/max(1, dim))
	host, ids := make([]float32, min(rows, per)*dim), make([]int32, min(rows, per))
	for lo := 0; lo < rows; lo += per {
		n := min(per, rows-lo)
		for i := range ids[:n] {
			ids[i] = int32(lo + i)
		}
		if err := feats.Gather(host[:n*dim], ids[:n]); err != nil {
			return err
		}
		s.q.Upload(bytesOf(host[:n*dim]), s.feats.RowRange(lo, lo+n))
		if err := s.q.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// lends reports whether e.lent holds the features as they are computed with.
func (e *Evaluator) lends() bool { return e.lent.Present() && e.lent.Type != tensor.F16 }

// halves returns the features of all nodes in half precision, absent if they are not so.
func (e *Evaluator) halves() (tensor.Tensor, error) {
	if e.lent.Present() {
		if e.lent.Type == tensor.F16 {
			return e.lent, nil
		}
		return tensor.Tensor{}, nil
	}
	in, ok := formats.StoredOf(e.feats)
	if !ok || in.F16 == nil || !tensor.TakesHalfRows(e.b) || !e.b.Caps().SharedMemory {
		return tensor.Tensor{}, nil
	}
	err := e.b.Import(&e.features, tensor.F16, in.Rows, in.Dim, bytesOf(in.F16))
	return e.features, err
}
