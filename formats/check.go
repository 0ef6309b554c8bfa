package formats

import (
	"fmt"
	"math"
	"sort"
)

// maxClasses bounds the number of classes: an output layer has that many columns, so a
// greater one comes from a damaged label.
const maxClasses = 1 << 20

// check verifies what the comments of RawDataset promise, except that features are finite.
// The parts are looked at in the order roles, labels, graphs, features.
func (d *RawDataset) check(src FeatureStore) error {
	if d.Full == nil || d.Train == nil {
		return badPart(PartFull, "a graph is missing")
	}
	n := d.Full.NumNodes()
	if err := d.checkRoles(n); err != nil {
		return &PartError{Part: PartRoles, Err: err}
	}
	if err := d.Labels.check(n); err != nil {
		return &PartError{Part: PartLabels, Err: err}
	}
	if !d.Labels.IsMulti() {
		for _, r := range d.roles() {
			for _, v := range r.nodes {
				if d.Labels.Class[v] < 0 {
					return badPart(PartLabels, "node %d is in role %s, but has no label", v, r.name)
				}
			}
		}
	}
	if err := checkGraph(d.Full, n); err != nil {
		return &PartError{Part: PartFull, Err: err}
	}
	if err := checkGraph(d.Train, n); err != nil {
		return &PartError{Part: PartTrain, Err: err}
	}
	if err := checkTrainEdges(d.Train, d.TrainNodes); err != nil {
		return &PartError{Part: PartTrain, Err: err}
	}
	if src.Dim() <= 0 {
		return badPart(PartFeatures, "%d columns, want at least 1", src.Dim())
	}
	if src.Rows() != n {
		return badPart(PartFeatures, "%d rows for %d nodes", src.Rows(), n)
	}
	return nil
}

type role struct {
	name  string
	nodes []int32
}

// roles returns the three roles under the names that data folders use.
func (d *RawDataset) roles() [3]role {
	return [3]role{{"tr", d.TrainNodes}, {"va", d.ValNodes}, {"te", d.TestNodes}}
}

func (d *RawDataset) checkRoles(n int) error {
	if len(d.TrainNodes) == 0 {
		return fmt.Errorf("no training nodes (role tr is empty)")
	}
	owner := make([]uint8, n)
	roles := d.roles()
	for i, r := range roles {
		last := int32(-1)
		for _, v := range r.nodes {
			if v < 0 || int(v) >= n {
				return fmt.Errorf("role %s holds node %d, but there are %d nodes", r.name, v, n)
			}
			if v <= last {
				return fmt.Errorf("role %s holds node %d after %d, want ascending ids", r.name, v, last)
			}
			last = v
			if owner[v] != 0 {
				return fmt.Errorf("node %d is in roles %s and %s, want one role at most", v, roles[owner[v]-1].name, r.name)
			}
			owner[v] = uint8(i + 1)
		}
	}
	return nil
}

// check verifies that l describes n nodes and holds only values that its fields allow.
func (l *Labels) check(n int) error {
	if (l.Class == nil) == (l.Multi == nil) {
		return fmt.Errorf("either classes or 0/1 rows are wanted, not both or none")
	}
	if l.NumClasses < 1 || l.NumClasses > maxClasses {
		return fmt.Errorf("%d classes, want 1 to %d", l.NumClasses, maxClasses)
	}
	if !l.IsMulti() {
		if len(l.Class) != n {
			return fmt.Errorf("%d labels for %d nodes", len(l.Class), n)
		}
		for v, c := range l.Class {
			if c < -1 || int(c) >= l.NumClasses {
				return fmt.Errorf("node %d has class %d, want -1 or 0 to %d", v, c, l.NumClasses-1)
			}
		}
		return nil
	}
	if len(l.Multi) != n*l.NumClasses {
		return fmt.Errorf("%d label values for %d nodes of %d classes", len(l.Multi), n, l.NumClasses)
	}
	for i, b := range l.Multi {
		if b > 1 {
			return fmt.Errorf("node %d has value %d for class %d, want 0 or 1", i/l.NumClasses, b, i%l.NumClasses)
		}
	}
	return nil
}

// checkGraph verifies that g is a graph of n nodes with usable weights.
func checkGraph(g *Graph, n int) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if g.NumNodes() != n {
		return fmt.Errorf("%d nodes, but the full graph has %d", g.NumNodes(), n)
	}
	for e, w := range g.Weights {
		if !(w >= 0) || math.IsInf(float64(w), 1) {
			row := sort.Search(n, func(v int) bool { return g.Indptr[v+1] > int64(e) })
			return fmt.Errorf("edge (%d, %d) has weight %v, want a finite number that is not negative", row, g.Indices[e], w)
		}
	}
	return nil
}

// checkTrainEdges verifies that both ends of every edge are training nodes.
func checkTrainEdges(train *Graph, trainNodes []int32) error {
	in := make([]bool, train.NumNodes())
	for _, v := range trainNodes {
		in[v] = true
	}
	for v := range train.NumNodes() {
		for _, u := range train.Neighbors(int32(v)) {
			if !in[v] || !in[u] {
				outside := u
				if !in[v] {
					outside = int32(v)
				}
				return fmt.Errorf("edge (%d, %d) leaves the training set: node %d is not in role tr", v, u, outside)
			}
		}
	}
	return nil
}
