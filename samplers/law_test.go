package samplers_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// A law maps outcomes of a draw, written as text, to their exact probabilities.
type law map[string]float64

// chiSquare fails t if the observed counts differ from the law more than one time in a
// million. Outcomes expected fewer than ten times are taken together.
func chiSquare(t *testing.T, observed map[string]int, want law) {
	t.Helper()
	n, total := 0, 0.0
	for _, c := range observed {
		n += c
	}
	for _, p := range want {
		total += p
	}
	if math.Abs(total-1) > 1e-9 {
		t.Fatalf("the exact probabilities sum to %v", total)
	}
	for _, k := range slices.Sorted(maps.Keys(observed)) {
		if want[k] == 0 {
			t.Fatalf("outcome %s came up %d times, want never", k, observed[k])
		}
	}
	sum, cells := 0.0, 0
	rareSeen, rare := 0.0, 0.0
	add := func(seen, expected float64) {
		if expected > 0 {
			sum += (seen - expected) * (seen - expected) / expected
			cells++
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if expected := want[k] * float64(n); expected >= 10 {
			add(float64(observed[k]), expected)
		} else {
			rareSeen += float64(observed[k])
			rare += expected
		}
	}
	if rare >= 1 {
		add(rareSeen, rare)
	}
	if cells < 2 {
		return
	}
	// The quantile of Wilson and Hilferty for one in a million.
	k := float64(cells - 1)
	limit := k * math.Pow(1-2/(9*k)+4.7534*math.Sqrt(2/(9*k)), 3)
	if sum > limit {
		t.Errorf("chi-square is %.1f over %d cells of %d draws, want at most %.1f", sum, cells, n, limit)
	}
}

// observe draws n times and counts what outcome makes of the drawn ids.
func observe(t *testing.T, name string, env samplers.Env, p params, n int, outcome func(ids []int32) string) map[string]int {
	t.Helper()
	s, err := samplers.New(name, env, p)
	if err != nil {
		t.Fatal(err)
	}
	var sc samplers.Scratch
	var ids []int32
	counts := map[string]int{}
	for i := range n {
		ids = s.SampleNodes(sc.Stream(1, 0, uint64(i)), &sc, ids[:0])
		counts[outcome(ids)]++
	}
	return counts
}

func text(ids []int32) string {
	var b [128]byte
	s := b[:0]
	for _, v := range ids {
		s = append(strconv.AppendInt(s, int64(v), 10), ' ')
	}
	return string(append(s, ';'))
}

// graphsWithEdges returns the graphs of the contract suite that every sampler accepts, by name.
func graphsWithEdges() []samplertest.Case {
	return slices.DeleteFunc(samplertest.Graphs(), func(c samplertest.Case) bool {
		return c.Env.Graph.NumEdges() == 0
	})
}

// multiply is the law of drawing twice independently.
func multiply(one map[int32]float64) law {
	l := law{}
	for a, pa := range one {
		for b, pb := range one {
			l[text([]int32{a, b})] += pa * pb
		}
	}
	return l
}

func TestNodeLaw(t *testing.T) {
	for _, c := range graphsWithEdges() {
		t.Run(c.Name, func(t *testing.T) {
			p := nodeLaw(c.Env.Graph)
			chiSquare(t, observe(t, "node", c.Env, params{"size_subgraph": 2}, 20000, text), multiply(p))
		})
	}
}

func nodeLaw(g *formats.Graph) map[int32]float64 {
	p := map[int32]float64{}
	for v := range int32(g.NumNodes()) {
		if d := g.Degree(v); d > 0 {
			p[v] = float64(d) / float64(g.NumEdges())
		}
	}
	return p
}

func uniformLaw(nodes []int32) map[int32]float64 {
	p := map[int32]float64{}
	for _, v := range nodes {
		p[v] = 1 / float64(len(nodes))
	}
	return p
}

func TestVanillaNodeLaw(t *testing.T) {
	for _, c := range samplertest.Graphs() {
		t.Run(c.Name, func(t *testing.T) {
			chiSquare(t, observe(t, "vanilla_node_python", c.Env, params{"size_subgraph": 2}, 20000, text),
				multiply(uniformLaw(c.Env.Train)))
		})
	}
}

// edgeLaw lists the edges that the edge samplers draw from, with their probabilities: the
// upper triangle of a symmetric graph, all entries of another.
func edgeLaw(g *formats.Graph) map[[2]int32]float64 {
	p := map[[2]int32]float64{}
	symmetric, total := g.Symmetric(), 0.0
	inverse := func(v int32) float64 {
		if g.Degree(v) == 0 {
			return 0
		}
		return 1 / float64(g.Degree(v))
	}
	for v := range int32(g.NumNodes()) {
		for _, u := range g.Neighbors(v) {
			if symmetric && u < v {
				continue
			}
			p[[2]int32{v, u}] = inverse(v) + inverse(u)
			total += p[[2]int32{v, u}]
		}
	}
	for e := range p {
		p[e] /= total
	}
	return p
}

// edgeText names an edge as edgeLaw does.
func edgeText(symmetric bool, v, u int32) string {
	if symmetric {
		v, u = min(v, u), max(v, u)
	}
	return text([]int32{v, u})
}

func TestEdgeLaw(t *testing.T) {
	for _, c := range graphsWithEdges() {
		t.Run(c.Name, func(t *testing.T) {
			symmetric := c.Env.Graph.Symmetric()
			one := law{}
			for e, p := range edgeLaw(c.Env.Graph) {
				one[edgeText(symmetric, e[0], e[1])] = p
			}
			two := law{}
			for a, pa := range one {
				for b, pb := range one {
					two[a+b] += pa * pb
				}
			}
			chiSquare(t, observe(t, "edge", c.Env, params{"size_subg_edge": 1}, 20000, func(ids []int32) string {
				return edgeText(symmetric, ids[0], ids[1])
			}), one)
			if len(two) > 5000 {
				return
			}
			// Two edges of a symmetric graph without loops come as first ends, second ends.
			split := symmetric && !hasLoop(c.Env.Graph)
			chiSquare(t, observe(t, "edge", c.Env, params{"size_subg_edge": 2}, 20000, func(ids []int32) string {
				if split {
					ids[1], ids[2] = ids[2], ids[1]
				}
				return edgeText(symmetric, ids[0], ids[1]) + edgeText(symmetric, ids[2], ids[3])
			}), two)
		})
	}
}

func hasLoop(g *formats.Graph) bool {
	for v := range int32(g.NumNodes()) {
		if g.Find(v, v) >= 0 {
			return true
		}
	}
	return false
}

// independentLaw is the joint law of edges that are kept independently with probability
// min(1, m*p). An outcome is the sorted names of the edges kept.
func independentLaw(edges map[[2]int32]float64, m float64, symmetric bool) law {
	type outcome struct {
		set []string
		p   float64
	}
	all := []outcome{{p: 1}}
	for e, p := range edges {
		q := min(1, m*p)
		for i, o := range all {
			all[i].p *= 1 - q
			all = append(all, outcome{append(slices.Clone(o.set), edgeText(symmetric, e[0], e[1])), o.p * q})
		}
	}
	l := law{}
	for _, o := range all {
		l[setText(o.set)] += o.p
	}
	return l
}

func setText(set []string) string {
	slices.Sort(set)
	return strings.Join(set, "")
}

func TestEdgeBernoulliLaw(t *testing.T) {
	for _, c := range graphsWithEdges() {
		edges := edgeLaw(c.Env.Graph)
		if len(edges) > 10 {
			continue // the joint law of more edges has too many outcomes; see TestEdgeBernoulliMarginals
		}
		symmetric := c.Env.Graph.Symmetric()
		for _, m := range []int64{1, 2, 3, 9} {
			t.Run(fmt.Sprint(c.Name, "/", m), func(t *testing.T) {
				chiSquare(t, observe(t, "edge_bernoulli", c.Env, params{"size_subg_edge": m}, 20000, func(ids []int32) string {
					set := []string{}
					for i := 0; i < len(ids); i += 2 {
						set = append(set, edgeText(symmetric, ids[i], ids[i+1]))
					}
					return setText(set)
				}), independentLaw(edges, float64(m), symmetric))
			})
		}
	}
}

func TestEdgeBernoulliMarginals(t *testing.T) {
	const n = 4000
	for name, g := range map[string]*formats.Graph{
		"symmetric": samplertest.PowerLaw(300, 1500, 3),
		"directed":  samplertest.Edges(300, firstEdges(samplertest.PowerLaw(300, 1500, 4), 1500)...),
	} {
		t.Run(name, func(t *testing.T) {
			const m = 120
			symmetric := g.Symmetric()
			counts := map[string]int{}
			observe(t, "edge_bernoulli", samplertest.Env(g), params{"size_subg_edge": m}, n, func(ids []int32) string {
				seen := map[string]bool{}
				for i := 0; i < len(ids); i += 2 {
					e := edgeText(symmetric, ids[i], ids[i+1])
					if seen[e] {
						t.Fatalf("edge %s was kept twice in one draw", e)
					}
					seen[e] = true
					counts[e]++
				}
				return ""
			})
			for e, p := range edgeLaw(g) {
				checkShare(t, edgeText(symmetric, e[0], e[1]), counts[edgeText(symmetric, e[0], e[1])], n, min(1, m*p))
			}
		})
	}
}

// firstEdges returns the first m stored edges of g.
func firstEdges(g *formats.Graph, m int) [][2]int32 {
	var edges [][2]int32
	for v := range int32(g.NumNodes()) {
		for _, u := range g.Neighbors(v) {
			if len(edges) < m {
				edges = append(edges, [2]int32{v, u})
			}
		}
	}
	return edges
}

// checkShare compares a count of n trials with its exact probability: six deviations (and
// one count for the skew of rare outcomes), as thousands of shares are compared.
func checkShare(t *testing.T, what string, count, n int, p float64) {
	t.Helper()
	mean := p * float64(n)
	if slack := 6*math.Sqrt(mean*max(0, 1-p)) + 4; math.Abs(float64(count)-mean) > slack {
		t.Errorf("%s came up %d times of %d, want %.1f", what, count, n, mean)
	}
}

// walks calls visit with the nodes of every possible walk, in order, and its probability.
func walks(env samplers.Env, depth int, visit func(ids []int32, p float64)) {
	var walk func(path []int32, p float64)
	walk = func(path []int32, p float64) {
		if len(path) == depth+1 {
			visit(path, p)
			return
		}
		v := path[len(path)-1]
		row := env.Graph.Neighbors(v)
		if len(row) == 0 {
			walk(append(slices.Clone(path), v), p)
		}
		for _, u := range row {
			walk(append(slices.Clone(path), u), p/float64(len(row)))
		}
	}
	for _, v := range env.Train {
		walk([]int32{v}, 1/float64(len(env.Train)))
	}
}

func walkLaw(env samplers.Env, depth int) law {
	l := law{}
	walks(env, depth, func(ids []int32, p float64) { l[text(ids)] += p })
	return l
}

func TestRandomWalkLaw(t *testing.T) {
	for _, c := range samplertest.Graphs() {
		t.Run(c.Name, func(t *testing.T) {
			chiSquare(t, observe(t, "rw", c.Env, params{"num_root": 1, "depth": 2}, 20000, text), walkLaw(c.Env, 2))
			chiSquare(t, observe(t, "rw", c.Env, params{"num_root": 3, "depth": 2}, 20000, func(ids []int32) string {
				return text([]int32{ids[1], ids[4], ids[7]}) // the second walk of three
			}), walkLaw(c.Env, 2))
		})
	}
	// Walks of one draw are independent of each other.
	env := samplertest.Env(samplertest.Undirected(3, [2]int32{0, 1}))
	one, two := walkLaw(env, 1), law{}
	for a, pa := range one {
		for b, pb := range one {
			two[a+b] += pa * pb
		}
	}
	chiSquare(t, observe(t, "rw", env, params{"num_root": 2, "depth": 1}, 20000, func(ids []int32) string {
		return text([]int32{ids[0], ids[2]}) + text([]int32{ids[1], ids[3]})
	}), two)
}

// frontiers calls visit with every possible result of frontier sampling, initial frontier
// and replacements in order, and its probability; results may come several times.
func frontiers(env samplers.Env, draws, size, clip int, visit func(ids []int32, p float64)) {
	g := env.Graph
	var pop func(drawn, frontier []int32, p float64)
	pop = func(drawn, frontier []int32, p float64) {
		total := 0
		for _, v := range frontier {
			total += min(g.Degree(v), clip)
		}
		if len(drawn) == draws || total == 0 {
			visit(drawn, p)
			return
		}
		for i, v := range frontier {
			row := g.Neighbors(v)
			for _, u := range row {
				next := slices.Clone(frontier)
				next[i] = u
				pop(append(slices.Clone(drawn), u), next,
					p*float64(min(len(row), clip))/float64(total)/float64(len(row)))
			}
		}
	}
	var start func(frontier []int32, p float64)
	start = func(frontier []int32, p float64) {
		if len(frontier) == size {
			pop(frontier, frontier, p)
			return
		}
		for _, v := range env.Train {
			start(append(slices.Clone(frontier), v), p/float64(len(env.Train)))
		}
	}
	start(nil, 1)
}

func TestMultiDimRandomWalkLaw(t *testing.T) {
	for _, c := range samplertest.Graphs() {
		if c.Env.Graph.NumEdges() > 30 {
			continue
		}
		for _, p := range []params{
			{"size_subgraph": 4, "size_frontier": 2},
			{"size_subgraph": 4, "size_frontier": 2, "deg_clip": 1},
			{"size_subgraph": 5, "size_frontier": 3, "deg_clip": 2},
			{"size_subgraph": 3, "size_frontier": 1},
		} {
			t.Run(fmt.Sprint(c.Name, "/", p), func(t *testing.T) {
				clip := 100000
				if q, ok := p["deg_clip"]; ok {
					clip = int(q)
				}
				want := law{}
				frontiers(c.Env, int(p["size_subgraph"]), int(p["size_frontier"]), clip, func(ids []int32, p float64) {
					want[text(ids)] += p
				})
				chiSquare(t, observe(t, "mrw", c.Env, p, 20000, text), want)
			})
		}
	}
}

func TestMultiDimRandomWalkWideFrontier(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(80, 300, 5))
	for _, size := range []int{1, 7, 64, 100} {
		for _, clip := range []int{3, 100000} {
			t.Run(fmt.Sprint(size, "/", clip), func(t *testing.T) { checkFirstPop(t, env, size, clip) })
		}
	}
}

// checkFirstPop compares the first replacements of many frontiers, by node, with their
// probabilities given those frontiers.
func checkFirstPop(t *testing.T, env samplers.Env, size, clip int) {
	const n = 5000
	g := env.Graph
	s, err := samplers.New("mrw", env, params{"size_subgraph": int64(size) + 1, "size_frontier": int64(size), "deg_clip": int64(clip)})
	if err != nil {
		t.Fatal(err)
	}
	var sc samplers.Scratch
	var ids []int32
	expected, observed := make([]float64, g.NumNodes()), make([]int, g.NumNodes())
	for i := range n {
		ids = s.SampleNodes(sc.Stream(2, 0, uint64(i)), &sc, ids[:0])
		total := 0
		for _, v := range ids[:size] {
			total += min(g.Degree(v), clip)
		}
		if total == 0 {
			continue
		}
		for _, v := range ids[:size] {
			for _, u := range g.Neighbors(v) {
				expected[u] += float64(min(g.Degree(v), clip)) / float64(total) / float64(g.Degree(v))
			}
		}
		observed[ids[size]]++
	}
	for v := range expected {
		checkShare(t, fmt.Sprint("node ", v), observed[v], n, expected[v]/n)
	}
}

func TestFullBatchLaw(t *testing.T) {
	for _, c := range samplertest.Graphs() {
		counts := observe(t, "full_batch", c.Env, params{}, 3, text)
		if counts[text(c.Env.Train)] != 3 {
			t.Errorf("%s: drew %v, want the training nodes 3 times", c.Name, counts)
		}
	}
}
