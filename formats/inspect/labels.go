package inspect

import (
	"math"
	"math/bits"
	"sort"

	"github.com/saint-gnn/saint/formats"
)

// countLabels fills in the numbers of all splits and of the labels as a whole.
func (r *Report) countLabels(ds *formats.Dataset, role []uint8) {
	l := &ds.Labels
	r.Labels = LabelStats{Classes: l.NumClasses, Multi: l.IsMulti(), Offset: l.Offset, AbsentFromTrain: []int64{}, Unused: []int64{}}
	counts := make([][]int64, len(splitNames)) // one more for nodes in no split
	for i := range counts {
		counts[i] = make([]int64, l.NumClasses)
	}
	noLabel := make([]int, len(splitNames))
	for v, split := range role {
		if !addLabels(l, int32(v), counts[split]) {
			noLabel[split]++
			r.Labels.Unlabelled++
		}
	}
	for i := range r.Splits {
		r.Splits[i].Counts, r.Splits[i].NoLabel = counts[i], noLabel[i]
	}
	r.balance()
	for c := range l.NumClasses {
		train, scored := counts[0][c], counts[1][c]+counts[2][c]
		switch {
		case train == 0 && scored > 0:
			r.Labels.AbsentFromTrain = append(r.Labels.AbsentFromTrain, int64(c)+l.Offset)
		case train+scored+counts[3][c] == 0:
			r.Labels.Unused = append(r.Labels.Unused, int64(c)+l.Offset)
		}
	}
}

// addLabels adds the classes of v to counts and reports whether it has any.
func addLabels(l *formats.Labels, v int32, counts []int64) bool {
	if !l.IsMulti() {
		c := l.Class[v]
		if c >= 0 {
			counts[c]++
		}
		return c >= 0
	}
	seen := uint8(0)
	for c, b := range l.Row(v) {
		counts[c] += int64(b)
		seen |= b
	}
	return seen > 0
}

// balance derives shares, entropies and the scores of guessing from the counts.
func (r *Report) balance() {
	answer := r.guess()
	for i := range r.Splits {
		s := &r.Splits[i]
		s.MajorityClass = -1
		n, labels := float64(s.Nodes), int64(0)
		best := int64(0)
		hits := int64(0)
		for c, count := range s.Counts {
			labels += count
			if count > 0 {
				s.ClassesPresent++
			}
			if count > best {
				best, s.MajorityClass = count, int64(c)+r.Labels.Offset
			}
		}
		for _, c := range answer {
			hits += s.Counts[c]
		}
		if s.Nodes == 0 {
			continue
		}
		s.MajorityShare = float64(best) / n
		s.GuessF1 = 2 * float64(hits) / (float64(labels) + n*float64(len(answer)))
		if r.Labels.Multi {
			mean := float64(labels) / n
			s.LabelsPerNode = &mean
			continue
		}
		entropy, balance := 0.0, 1.0
		for _, count := range s.Counts {
			if count > 0 {
				p := float64(count) / float64(labels)
				entropy -= p * math.Log2(p)
			}
		}
		if len(s.Counts) > 1 {
			balance = entropy / math.Log2(float64(len(s.Counts)))
		}
		s.Entropy, s.Balance = &entropy, &balance
	}
}

// guess returns the set of classes that scores best on the training nodes when every node gets
// the same answer: the most frequent ones, one of them for single-label data.
func (r *Report) guess() []int {
	counts := r.Splits[0].Counts
	order := make([]int, len(counts))
	for c := range order {
		order[c] = c
	}
	sort.SliceStable(order, func(i, j int) bool { return counts[order[i]] > counts[order[j]] })
	if !r.Labels.Multi {
		return order[:1]
	}
	total, hits := int64(0), int64(0)
	for _, count := range counts {
		total += count
	}
	best, size := -1.0, 1
	for i, c := range order {
		hits += counts[c]
		f1 := 2 * float64(hits) / (float64(total) + float64(i+1)*float64(r.Splits[0].Nodes))
		if f1 > best {
			best, size = f1, i+1
		}
	}
	return order[:size]
}

// homophily fills in how alike the ends of edges are.
func (r *Report) homophily(g *formats.Graph, l *formats.Labels) {
	if l.IsMulti() {
		r.Homophily = meanJaccard(g, l)
		return
	}
	type tally struct{ edges, equal int64 }
	parts := make([]tally, chunks(g.NumNodes(), rowChunk))
	weights := make([]int64, g.NumNodes()) // edges of each row that count
	eachChunk(g.NumNodes(), rowChunk, func(chunk, lo, hi int) {
		t := &parts[chunk]
		for v := lo; v < hi; v++ {
			class := l.Class[v]
			if class < 0 {
				continue
			}
			for _, u := range g.Neighbors(int32(v)) {
				if other := l.Class[u]; other >= 0 && int(u) != v {
					weights[v]++
					if other == class {
						t.equal++
					}
				}
			}
			t.edges += weights[v]
		}
	})
	var all tally
	for _, t := range parts {
		all.edges += t.edges
		all.equal += t.equal
	}
	if all.edges == 0 {
		return
	}
	share := float64(all.equal) / float64(all.edges)
	r.Homophily = &share
	perClass := make([]int64, l.NumClasses)
	for v, w := range weights {
		if w > 0 {
			perClass[l.Class[v]] += w
		}
	}
	chance := 0.0
	for _, w := range perClass {
		p := float64(w) / float64(all.edges)
		chance += p * p
	}
	r.HomophilyByChance = &chance
}

// meanJaccard returns the mean Jaccard index of the labels at the two ends of an edge.
func meanJaccard(g *formats.Graph, l *formats.Labels) *float64 {
	words := chunks(l.NumClasses, 64)
	packed := make([]uint64, g.NumNodes()*words)
	eachChunk(g.NumNodes(), rowChunk, func(_, lo, hi int) {
		for v := lo; v < hi; v++ {
			for c, b := range l.Row(int32(v)) {
				packed[v*words+c/64] |= uint64(b) << (c % 64)
			}
		}
	})
	counted := make([]int64, chunks(g.NumNodes(), rowChunk))
	sums := make([]float64, len(counted))
	eachChunk(g.NumNodes(), rowChunk, func(chunk, lo, hi int) {
		for v := lo; v < hi; v++ {
			a := packed[v*words : (v+1)*words]
			for _, u := range g.Neighbors(int32(v)) {
				either, both := overlap(a, packed[int(u)*words:(int(u)+1)*words])
				if either > 0 && int(u) != v {
					counted[chunk]++
					sums[chunk] += float64(both) / float64(either)
				}
			}
		}
	})
	total, edges := 0.0, int64(0)
	for i := range sums {
		total += sums[i]
		edges += counted[i]
	}
	if edges == 0 {
		return nil
	}
	total /= float64(edges)
	return &total
}

// overlap counts the bits that are set in a or b, and in both.
func overlap(a, b []uint64) (either, both int) {
	for i, x := range a {
		either += bits.OnesCount64(x | b[i])
		both += bits.OnesCount64(x & b[i])
	}
	return either, both
}
