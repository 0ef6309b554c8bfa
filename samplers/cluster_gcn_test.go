package samplers_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

func cluster(t testing.TB, env samplers.Env, p params) *samplers.ClusterGCN {
	t.Helper()
	s, err := samplers.New("cluster_gcn", env, p)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*samplers.ClusterGCN)
}

func at(t testing.TB, s samplers.Sampler, env samplers.Env, seed uint64, phase int, index uint64) formats.Subgraph {
	t.Helper()
	var sc samplers.Scratch
	var sub formats.Subgraph
	if err := samplers.DrawAt(s, env, seed, phase, index, &sc, &sub); err != nil {
		t.Fatal(err)
	}
	return sub
}

func TestClusterContract(t *testing.T) {
	for _, p := range []params{
		{"parts": 2, "clusters_per_batch": 1},
		{"parts": 5, "clusters_per_batch": 2, "partition_seed": 7},
		{"parts": 6, "clusters_per_batch": 6},
	} {
		var cases []samplertest.Case
		for _, c := range samplertest.Graphs() {
			if int64(len(c.Env.Train)) >= p["parts"] {
				cases = append(cases, c)
			}
		}
		samplertest.RunOn(t, "cluster_gcn", p, cases)
	}
}

// TestClusterEpochs: every training node is in one subgraph of an epoch, parts stay together, and
// orders differ between epochs, phases and seeds.
func TestClusterEpochs(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(400, 2000, 3))
	for _, p := range []params{
		{"parts": 20, "clusters_per_batch": 4},
		{"parts": 20, "clusters_per_batch": 7},
		{"parts": 400, "clusters_per_batch": 30},
		{"parts": 20, "clusters_per_batch": 20},
	} {
		s := cluster(t, env, p)
		groups := samplers.BatchesPerEpoch(s, env)
		if want := int((p["parts"] + p["clusters_per_batch"] - 1) / p["clusters_per_batch"]); groups != want {
			t.Fatalf("%v: BatchesPerEpoch = %d, want %d", p, groups, want)
		}
		var firsts [][]int32
		for _, where := range []struct {
			seed  uint64
			phase int
			epoch uint64
		}{{1, 0, 0}, {1, 0, 1}, {1, 1, 0}, {2, 0, 0}, {1, 0, 1 << 40}} {
			var all []int32
			for i := range groups {
				sub := at(t, s, env, where.seed, where.phase, where.epoch*uint64(groups)+uint64(i))
				samplertest.CheckInduced(t, env.Graph, sub.Nodes, &sub)
				all = append(all, sub.Nodes...)
				if i == 0 {
					firsts = append(firsts, sub.Nodes)
				}
			}
			slices.Sort(all)
			if !slices.Equal(all, env.Train) {
				t.Errorf("%v: the nodes of %+v are %v, want every training node once", p, where, all)
			}
		}
		if groups > 1 {
			allDiffer(t, firsts)
		}
	}
}

func allDiffer(t *testing.T, epochs [][]int32) {
	t.Helper()
	for i, a := range epochs {
		for j, b := range epochs[:i] {
			if slices.Equal(a, b) {
				t.Errorf("epochs %d and %d begin alike", i, j)
			}
		}
	}
}

// TestClusterPairs: over many epochs every two parts meet about equally often.
func TestClusterPairs(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(12, 20, 3))
	s := cluster(t, env, params{"parts": 12, "clusters_per_batch": 4})
	const epochs = 3000
	var met [12][12]int
	for i := range uint64(epochs * 3) {
		sub := at(t, s, env, 9, 0, i)
		for _, v := range sub.Nodes {
			for _, u := range sub.Nodes {
				met[v][u]++
			}
		}
	}
	for v := range met {
		for u, n := range met[v] {
			// 3 of the 11 others are with v: 818 times, with a standard deviation of 24.
			if want := epochs * 3 / 11; v != u && (n < want-130 || n > want+130) {
				t.Errorf("parts %d and %d met %d times in %d epochs, want about %d", v, u, n, epochs, want)
			}
		}
	}
}

func TestClusterDirectedGraphs(t *testing.T) {
	// Two rings of one direction, joined by an edge; and nodes that are not for training.
	var edges [][2]int32
	for v := range int32(10) {
		edges = append(edges, [2]int32{v, (v + 1) % 10}, [2]int32{20 + v, 20 + (v+1)%10})
	}
	env := samplers.Env{Graph: samplertest.Edges(40, append(edges, [2]int32{3, 25}, [2]int32{3, 3})...)}
	for v := range int32(10) {
		env.Train = append(env.Train, v)
	}
	for v := range int32(10) {
		env.Train = append(env.Train, 20+v)
	}
	s := cluster(t, env, params{"parts": 2, "clusters_per_batch": 1})
	a, b := at(t, s, env, 1, 0, 0), at(t, s, env, 1, 0, 1)
	got := [][]int32{a.Nodes, b.Nodes}
	slices.SortFunc(got, func(x, y []int32) int { return int(x[0]) - int(y[0]) })
	if !slices.Equal(got[0], env.Train[:10]) || !slices.Equal(got[1], env.Train[10:]) {
		t.Errorf("parts %v, want one ring each", got)
	}
}

func TestClusterNormalisation(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(60, 300, 3))
	s := cluster(t, env, params{"parts": 10, "clusters_per_batch": 3})
	norm, err := samplers.EstimateNorm(t.Context(), s, env, samplers.EstimateOptions{Coverage: 100, Seed: 3, Phase: 1})
	if err != nil {
		t.Fatal(err)
	}
	checkIdentity(t, s, env, norm)
}

func TestClusterCache(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(200, 1000, 3))
	p := params{"parts": 10, "clusters_per_batch": 1}
	dir := t.TempDir()
	var warnings []string
	prepared := func(p params) []int32 {
		t.Helper()
		warnings = nil
		s := cluster(t, env, p)
		o := samplers.PrepareOptions{CacheDir: dir, Warn: func(err error) { warnings = append(warnings, err.Error()) }}
		if err := samplers.Prepare(t.Context(), s, o); err != nil {
			t.Fatal(err)
		}
		return at(t, s, env, 1, 0, 0).Nodes
	}
	want := prepared(p)
	files, err := filepath.Glob(filepath.Join(dir, "partition", "*.safetensors"))
	if err != nil || len(files) != 1 {
		t.Fatalf("cache holds %v, %v; want one file", files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := prepared(p); !slices.Equal(got, want) || len(warnings) > 0 {
		t.Errorf("from the cache: %v with warnings %v, want %v and none", got, warnings, want)
	}
	for name, c := range map[string]struct {
		data func() []byte
		want string
	}{
		"cut off":  {func() []byte { return good[:len(good)-5] }, "ignored"},
		"flipped":  {func() []byte { d := slices.Clone(good); d[len(d)-3] ^= 1; return d }, "damaged"},
		"no file":  {func() []byte { return []byte("x") }, "ignored"},
		"part 10":  {forge(t, files[0], func(part []int32) []int32 { part[5] = 10; return part }), "has 10 at 5"},
		"negative": {forge(t, files[0], func(part []int32) []int32 { part[5] = -1; return part }), "has -1 at 5"},
		"shorter":  {forge(t, files[0], func(part []int32) []int32 { return part[1:] }), "want I32 [200]"},
		"empty": {forge(t, files[0], func(part []int32) []int32 {
			for i := range part {
				part[i] = max(part[i], 1)
			}
			return part
		}), "part 0 is empty"},
	} {
		if err := os.WriteFile(files[0], c.data(), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := prepared(p); !slices.Equal(got, want) || len(warnings) != 1 || !strings.Contains(warnings[0], c.want) {
			t.Errorf("%s: warnings %q, want one with %q and the same nodes", name, warnings, c.want)
		}
		if now, err := os.ReadFile(files[0]); err != nil || !slices.Equal(now, good) {
			t.Errorf("%s: the file was not replaced by the good one, %v", name, err)
		}
	}
	prepared(params{"parts": 10, "clusters_per_batch": 3})
	prepared(params{"parts": 10, "clusters_per_batch": 1, "partition_seed": 4})
	prepared(params{"parts": 11, "clusters_per_batch": 1})
	if files, _ := filepath.Glob(filepath.Join(dir, "partition", "*")); len(files) != 3 {
		t.Errorf("cache holds %d files, want 3: one for each seed and number of parts", len(files))
	}
	// A cache that cannot be written is a warning.
	dir = filepath.Join(files[0], "below a file")
	if got := prepared(p); !slices.Equal(got, want) || len(warnings) == 0 {
		t.Errorf("unwritable cache: %v with warnings %v, want %v and some", got, warnings, want)
	}
}

// forge returns a function that makes a file like the one at path, with other parts and a
// checksum that suits them.
func forge(t *testing.T, path string, change func([]int32) []int32) func() []byte {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := f.Tensor("part")
	if err != nil {
		t.Fatal(err)
	}
	part, err := x.Int32s()
	if err != nil {
		t.Fatal(err)
	}
	meta := f.Metadata()
	return func() []byte {
		t.Helper()
		part := change(slices.Clone(part))
		tensors := []safetensors.Tensor{safetensors.Int32("part", []int{len(part)}, part)}
		meta["crc32c"] = samplers.Checksum(tensors, "part")
		to := filepath.Join(t.TempDir(), "forged")
		if err := safetensors.WriteFile(to, tensors, meta); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
}

func TestClusterCancel(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(2000, 10000, 3))
	s := cluster(t, env, params{"parts": 20, "clusters_per_batch": 2})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := samplers.Prepare(ctx, s, samplers.PrepareOptions{CacheDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Prepare = %v, want %v", err, context.Canceled)
	}
	if err := samplers.Prepare(t.Context(), s, samplers.PrepareOptions{}); err != nil {
		t.Fatalf("Prepare after a cancelled one = %v, want nil", err)
	}
}

func TestClusterStandIn(t *testing.T) {
	env := samplertest.Env(samplertest.Undirected(2, [2]int32{0, 1}))
	env.StandIn = true
	s := cluster(t, env, params{"parts": 1500, "clusters_per_batch": 20})
	if got := s.BatchesPerEpoch(); got != 75 {
		t.Errorf("BatchesPerEpoch() = %d, want 75", got)
	}
	if _, err := samplers.New("cluster_gcn", env, params{"parts": 5, "clusters_per_batch": 6}); err == nil {
		t.Error("on a stand-in, clusters_per_batch above parts: no error")
	}
}

func TestClusterAllocatesNothing(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(2000, 10000, 4))
	s := cluster(t, env, params{"parts": 50, "clusters_per_batch": 5})
	var sc samplers.Scratch
	var sub formats.Subgraph
	draw := func(index uint64) {
		if err := samplers.DrawAt(s, env, 1, 0, index, &sc, &sub); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(100) {
		draw(i)
	}
	next := uint64(0)
	if n := testing.AllocsPerRun(100, func() { draw(next); next++ }); n != 0 {
		t.Errorf("%v allocations a subgraph, want 0", n)
	}
}

// TestSubgraphMean: rows sum to 1, weighted or not, and survive the cache.
func TestSubgraphMean(t *testing.T) {
	for _, weighted := range []bool{false, true} {
		env := samplertest.Env(samplertest.PowerLaw(60, 300, 3))
		if weighted {
			env.Graph.Weights = make([]float32, env.Graph.NumEdges())
			for i := range env.Graph.Weights {
				env.Graph.Weights[i] = float32(i % 4) // some rows may sum to 0
			}
		}
		s := cluster(t, env, params{"parts": 10, "clusters_per_batch": 3})
		o := samplers.EstimateOptions{SubgraphMean: true, DisableNormLoss: true, DisableNormAggr: true}
		norm, err := samplers.EstimateNorm(t.Context(), s, env, o)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "norm")
		if err := norm.Save(path, "k"); err != nil {
			t.Fatal(err)
		}
		if norm, err = samplers.LoadNorm(path, "k", env); err != nil {
			t.Fatal(err)
		}
		sub := at(t, s, env, 1, 0, 0)
		norm.Apply(env.Graph, &sub)
		checkMeans(t, env.Graph, &sub)
		o.DisableNormAggr = false
		if _, err := samplers.EstimateNorm(t.Context(), s, env, o); err == nil {
			t.Error("coefficients of edges beside means: no error")
		}
		if a, b := samplers.CacheKey("f", "s", "p", o), samplers.CacheKey("f", "s", "p", samplers.EstimateOptions{DisableNormLoss: true}); a == b {
			t.Error("CacheKey does not know SubgraphMean")
		}
	}
}

// checkMeans: rows sum to 1, and to 0 where there is no weight.
func checkMeans(t *testing.T, g *formats.Graph, sub *formats.Subgraph) {
	t.Helper()
	for i := range sub.Nodes {
		lo, hi := sub.Indptr[i], sub.Indptr[i+1]
		sum, weight := 0.0, float32(hi-lo)
		for k := lo; k < hi; k++ {
			sum += float64(sub.AdjNorm[k])
			if g.Weights != nil {
				weight += g.Weights[sub.EdgeIDs[k]] - 1
			}
		}
		want := 1.0
		if weight == 0 {
			want = 0
		}
		if sum < want-1e-6 || sum > want+1e-6 {
			t.Errorf("weighted %t: row %d of %d entries sums to %v, want %v", g.Weights != nil, i, hi-lo, sum, want)
		}
	}
}
