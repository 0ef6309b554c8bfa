package samplers_test

import (
	"errors"
	"math"
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

func TestCacheGivesTheSameBits(t *testing.T) {
	env := samplertest.Env(samplertest.PowerLaw(300, 1500, 2))
	env.Graph.Weights = make([]float32, env.Graph.NumEdges())
	for i := range env.Graph.Weights {
		env.Graph.Weights[i] = 1 / float32(1+i%5)
	}
	s, err := samplers.New("rw", env, params{"num_root": 20, "depth": 2})
	if err != nil {
		t.Fatal(err)
	}
	var sc samplers.Scratch
	apply := func(n *samplers.Norm) formats.Subgraph {
		var sub formats.Subgraph
		if err := samplers.Draw(s, env, sc.Stream(1, 0, 3), &sc, &sub); err != nil {
			t.Fatal(err)
		}
		n.Apply(env.Graph, &sub)
		return sub
	}
	for name, o := range map[string]samplers.EstimateOptions{
		"all":      {Coverage: 20},
		"loss off": {Coverage: 20, DisableNormLoss: true},
		"aggr off": {Coverage: 20, DisableNormAggr: true},
		"both off": {DisableNormAggr: true, DisableNormLoss: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "norm.safetensors")
			fresh, err := samplers.EstimateNorm(t.Context(), s, env, o)
			if err != nil {
				t.Fatal(err)
			}
			if err := fresh.Save(path, "k"); err != nil {
				t.Fatal(err)
			}
			cached, err := samplers.LoadNorm(path, "k", env)
			if err != nil {
				t.Fatal(err)
			}
			if cached.Subgraphs != fresh.Subgraphs || cached.UniformLoss != fresh.UniformLoss ||
				(cached.Aggr == nil) != (fresh.Aggr == nil) || !slices.Equal(cached.Loss, fresh.Loss) || !slices.Equal(cached.Aggr, fresh.Aggr) {
				t.Error("the cached coefficients differ from the fresh ones")
			}
			a, b := apply(fresh), apply(cached)
			if !slices.Equal(a.AdjNorm, b.AdjNorm) || !slices.Equal(a.LossNorm, b.LossNorm) {
				t.Error("the cached coefficients give another normalisation than the fresh ones")
			}
		})
	}
}

func TestCacheKeyTellsEverythingApart(t *testing.T) {
	base := samplers.EstimateOptions{Coverage: 50, Seed: 1, Phase: 0}
	key := samplers.CacheKey("f", "rw", "p", base)
	if len(key) != 64 {
		t.Errorf("CacheKey has %d characters, want 64", len(key))
	}
	same := base
	same.Workers, same.Progress = 7, func(int64, int64) {}
	if samplers.CacheKey("f", "rw", "p", same) != key {
		t.Error("the key depends on workers or progress")
	}
	seen := map[string]bool{key: true}
	add := func(what, k string) {
		if seen[k] {
			t.Errorf("the key does not depend on %s", what)
		}
		seen[k] = true
	}
	add("fingerprint", samplers.CacheKey("g", "rw", "p", base))
	add("sampler", samplers.CacheKey("f", "rw2", "p", base))
	add("parameters", samplers.CacheKey("f", "rw", "q", base))
	add("where one ends", samplers.CacheKey("f", "rwp", "", base))
	for what, change := range map[string]func(o *samplers.EstimateOptions){
		"coverage": func(o *samplers.EstimateOptions) { o.Coverage = 51 },
		"seed":     func(o *samplers.EstimateOptions) { o.Seed = 2 },
		"phase":    func(o *samplers.EstimateOptions) { o.Phase = 1 },
		"loss":     func(o *samplers.EstimateOptions) { o.DisableNormLoss = true },
		"aggr":     func(o *samplers.EstimateOptions) { o.DisableNormAggr = true },
		"compat":   func(o *samplers.EstimateOptions) { o.Compat = samplers.CompatReference },
	} {
		o := base
		change(&o)
		add(what, samplers.CacheKey("f", "rw", "p", o))
	}
}

func TestLoadNormRefusesOtherFiles(t *testing.T) {
	env := samplertest.Env(samplertest.Undirected(3, [2]int32{0, 1}))
	norm := &samplers.Norm{Loss: []float32{1, 2, 3}, Aggr: []float32{1, 2}, Subgraphs: 200}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := norm.Save(path("good"), "k"); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path("good"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)-2] ^= 1
	os.WriteFile(path("flipped"), flipped, 0o600)
	os.WriteFile(path("short"), good[:len(good)-1], 0o600)
	os.WriteFile(path("empty"), nil, 0o600)
	if err := safetensors.WriteFile(path("foreign"), nil, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.WriteFile(path("bare"), nil, map[string]string{"saint.norm": "2", "key": "k"}); err != nil {
		t.Fatal(err)
	}
	for name, aggr := range map[string]float32{"negative": -2, "infinite": float32(math.Inf(1)), "no number": float32(math.NaN())} {
		bad := &samplers.Norm{Loss: norm.Loss, Aggr: []float32{1, aggr}}
		if err := bad.Save(path(name), "k"); err != nil {
			t.Fatal(err)
		}
	}
	fewer, other := env, samplertest.Env(samplertest.Undirected(3, [2]int32{0, 1}, [2]int32{1, 2}))
	fewer.Train = []int32{0, 1}
	for _, c := range []struct {
		file, key string
		env       samplers.Env
		want      string
	}{
		{"flipped", "k", env, "damaged"},
		{"short", "k", env, "truncated"},
		{"empty", "k", env, "truncated"},
		{"foreign", "k", env, "does not hold normalisation coefficients"},
		{"bare", "k", env, "want a count"},
		{"negative", "k", env, `tensor "aggr" has -2 at 1, want a finite`},
		{"infinite", "k", env, `tensor "aggr" has +Inf at 1`},
		{"no number", "k", env, `tensor "aggr" has NaN at 1`},
		{"good", "another", env, "belong to key k, want another"},
		{"good", "k", fewer, "there are 2 training nodes"},
		{"good", "k", other, `tensor "aggr" is F32 [2], want F32 [4]`},
		{"good", "k", samplertest.Env(samplertest.Undirected(4, [2]int32{0, 1})), `tensor "loss" is F32 [3], want F32 [4]`},
	} {
		_, err := samplers.LoadNorm(path(c.file), c.key, c.env)
		var bad *formats.InputError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("LoadNorm of %s with key %s: error %v, want an InputError with %q", c.file, c.key, err, c.want)
		}
	}
	if _, err := samplers.LoadNorm(path("absent"), "k", env); err == nil {
		t.Error("LoadNorm of a file that is not there gives no error")
	}
	if got, err := samplers.LoadNorm(path("good"), "k", env); err != nil || got.Subgraphs != 200 {
		t.Errorf("LoadNorm = %v, %v, want 200 subgraphs", got, err)
	}
	if err := norm.Save(filepath.Join(dir, "no", "such", "folder"), "k"); err == nil {
		t.Error("Save into a folder that is not there gives no error")
	}
}
