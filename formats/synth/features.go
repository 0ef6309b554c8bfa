package synth

import (
	"context"
	"math"
)

// featureBlock is the number of rows that share a stream.
const featureBlock = 256

// newFeatures draws Nodes×Features values, row-major: column j of node v is
// offset[j] + spread[j]*(mean[community of v][j] + noise) with noise of deviation 1 and
// mean 0 in the noise columns. Offsets and spreads differ by column as those of real
// features do; standardisation removes them.
func newFeatures(ctx context.Context, p *Preset, seed uint64, b *blocks, n *nodes, report func(rows int64)) ([]float32, error) {
	means, spread := featureMeans(p, seed, b)
	f := p.Features
	x := make([]float32, p.Nodes*f)
	err := forBlocks(ctx, p.Nodes, featureBlock, func(block, lo, hi int) {
		r := newStream(seed, stageFeatures, uint64(block))
		for v := lo; v < hi; v++ {
			mean := means[int(n.community[v])*f:][:f]
			row := x[v*f:][:f]
			for j := range row {
				// The conversion keeps the multiplication and the addition apart: fused
				// they would round differently on the platforms that fuse.
				row[j] = mean[j] + float32(spread[j]*r.normal())
			}
		}
		report(int64(hi - lo))
	})
	return x, err
}

// featureMeans returns the mean of every community, Communities×Features, and the spread
// of every column.
func featureMeans(p *Preset, seed uint64, b *blocks) (means, spread []float32) {
	r := newStream(seed, stageMeans, 0)
	f := p.Features
	offset := make([]float32, f)
	spread = make([]float32, f)
	for j := range f {
		offset[j] = r.normal()
		spread[j] = 0.5 + float32(r.unit())
	}
	informative := r.permutation(f)[p.NoiseColumns:]
	ofClass := make([]float32, p.Classes*f)
	for i := range ofClass {
		ofClass[i] = r.normal()
	}
	classPart := float32(p.Signal * math.Sqrt(p.ClassShare))
	ownPart := float32(p.Signal * math.Sqrt(1-p.ClassShare))
	if p.Multi {
		classPart, ownPart = 0, float32(p.Signal)
	}
	means = make([]float32, p.Communities*f)
	for k := range p.Communities {
		row := means[k*f:][:f]
		copy(row, offset)
		for _, j := range informative {
			mean := float32(classPart*ofClass[int(b.class[k])*f+int(j)]) + float32(ownPart*r.normal())
			row[j] += float32(spread[j] * mean)
		}
	}
	return means, spread
}
