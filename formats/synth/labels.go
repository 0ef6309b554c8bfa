package synth

import (
	"context"
	"math"

	"github.com/saint-gnn/saint/formats"
)

// newLabels draws the labels: the community's, except that each is replaced with
// probability LabelNoise by a draw from the whole population.
func newLabels(ctx context.Context, p *Preset, seed uint64, b *blocks, n *nodes) (formats.Labels, error) {
	labels := formats.Labels{NumClasses: p.Classes}
	if p.Multi {
		labels.Multi = make([]uint8, p.Nodes*p.Classes)
		return labels, multiLabels(ctx, p, seed, n, labels.Multi)
	}
	labels.Class = make([]int32, p.Nodes)
	err := forBlocks(ctx, p.Nodes, nodeBlock, func(block, lo, hi int) {
		r := newStream(seed, stageLabels, uint64(block))
		for v := lo; v < hi; v++ {
			community := n.community[v]
			if r.chance(p.LabelNoise) {
				community = b.draw(r)
			}
			labels.Class[v] = b.class[community]
		}
	})
	return labels, err
}

// multiLabels gives every community a profile, in which label c occurs with its
// popularity, and every node the profile of its community but for the noise. The share of
// nodes that have label c is its popularity whatever the noise.
func multiLabels(ctx context.Context, p *Preset, seed uint64, n *nodes, dst []uint8) error {
	r := newStream(seed, stageProfiles, 0)
	popularity := make([]float64, p.Classes)
	for i, c := range r.permutation(p.Classes) {
		// Density*0.5/sqrt(rank) has mean Density and resembles the label counts of PPI.
		rank := (float64(i) + 0.5) / float64(p.Classes)
		popularity[c] = min(0.95, p.Density*0.5/math.Sqrt(rank))
	}
	profile := make([]uint8, p.Communities*p.Classes)
	for i := range profile {
		if r.chance(popularity[i%p.Classes]) {
			profile[i] = 1
		}
	}
	return forBlocks(ctx, p.Nodes, nodeBlock, func(block, lo, hi int) {
		r := newStream(seed, stageLabels, uint64(block))
		for v := lo; v < hi; v++ {
			row := dst[v*p.Classes : (v+1)*p.Classes]
			copy(row, profile[int(n.community[v])*p.Classes:])
			for c := range row {
				if !r.chance(p.LabelNoise) {
					continue
				}
				row[c] = 0
				if r.chance(popularity[c]) {
					row[c] = 1
				}
			}
		}
	})
}
