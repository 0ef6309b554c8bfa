package trainer

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// EXACT's recipes learn, and with codes of 2 bits nearly as well: every one but for its width, length
// and the size of its samples, on a graph with its kind of labels.
func TestExactRecipesLearn(t *testing.T) {
	if testing.Short() {
		t.Skip("trains 46 networks")
	}
	p := small
	p.Nodes, p.Edges, p.Features, p.Classes, p.Communities, p.Signal, p.Within = 1000, 7000, 32, 8, 16, 0.3, 0.7
	several := p
	several.Multi, several.Density, several.Classes, several.Signal = true, 0.3, 10, 0.6
	single, multi := generate(t, p), generate(t, several)
	b := backend(t, 2)
	sizes := regexp.MustCompile(`(?m)^    (parts|num_root|clusters_per_batch|warmup_steps): .*$`)
	for _, name := range trainconfig.Names() {
		if !strings.HasPrefix(name, "exact/") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			score := func(more string) float64 {
				c, err := trainconfig.Load(name, "")
				if err != nil {
					t.Fatal(err)
				}
				text := sizes.ReplaceAllStringFunc(string(c.Resolved()), func(line string) string {
					key, _, _ := strings.Cut(line, ":")
					return key + ": " + map[string]string{"parts": "20", "num_root": "60", "clusters_per_batch": "5", "warmup_steps": "10"}[strings.TrimSpace(key)]
				})
				c = parse(t, strings.Replace(text, "params:\n  - ", "params:\n  - "+more, 1))
				data := single
				if c.Network.Loss == "sigmoid" {
					data = multi
				}
				return learned(t, c, data, b)
			}
			plain, codes := score(""), score("n_bits: 2\n    ")
			t.Logf("test F1 %.3f, with 2 bits %.3f", plain, codes)
			if plain < 0.55 || codes < plain-0.08 {
				t.Errorf("test F1 is %.3f, with 2 bits %.3f: want at least 0.55, and no less than 0.08 below", plain, codes)
			}
		})
	}
}

// learned returns the test score after some 60 to 120 updates of a narrow network.
func learned(t *testing.T, c *trainconfig.Config, d *formats.Dataset, b tensor.Backend) float64 {
	t.Helper()
	c.Network.Dim = 48
	if c.Phases[0].End = 30; c.Phases[0].Sampler == "full_batch" {
		c.Phases[0].End = 60
	}
	c.Params.EvalValEvery = 10
	r, err := Train(context.Background(), Options{Data: d, Config: c, Backend: b, Seed: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return r.Test.F1Micro
}
