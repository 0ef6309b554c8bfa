package assemble

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/formats"
)

// Unlabelled marks a node without a label in the argument of Classes.
const Unlabelled = math.MinInt64

// maxClasses is the greatest number of classes that a data set may have.
const maxClasses = 1 << 20

// Classes makes single-label data of one integer a node. The classes are all integers from
// the least label to the greatest; the least becomes class 0 and Labels.Offset.
func Classes(values []int64) (formats.Labels, error) {
	least, most, any := int64(math.MaxInt64), int64(math.MinInt64), false
	for _, c := range values {
		if c != Unlabelled {
			least, most, any = min(least, c), max(most, c), true
		}
	}
	if !any {
		return formats.Labels{}, fmt.Errorf("no node has a label")
	}
	if uint64(most)-uint64(least) >= maxClasses {
		return formats.Labels{}, fmt.Errorf("labels from %d to %d are more than %d classes", least, most, maxClasses)
	}
	l := formats.Labels{NumClasses: int(most-least) + 1, Class: make([]int32, len(values)), Offset: least}
	for v, c := range values {
		l.Class[v] = -1
		if c != Unlabelled {
			l.Class[v] = int32(c - least)
		}
	}
	return l, nil
}

// Labelled returns the nodes that have a label, ascending; of multi-label data all n nodes
// except those that has, if it is not nil, denies.
func Labelled(l *formats.Labels, n int, has []bool) []int32 {
	nodes := make([]int32, 0, n)
	for v := range n {
		if l.IsMulti() && (has == nil || has[v]) || !l.IsMulti() && l.Class[v] >= 0 {
			nodes = append(nodes, int32(v))
		}
	}
	return nodes
}
