package trainer

import (
	"context"
	"math"
	"regexp"
	"testing"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
)

// Every configuration that is built in trains for two epochs on a graph with its kind of labels,
// with everything as written but the width and the length.
func TestEveryConfigTrains(t *testing.T) {
	several := small
	several.Multi, several.Density, several.Classes = true, 0.3, 5
	single, multi := generate(t, small), generate(t, several)
	b := backend(t, 2)
	for _, name := range trainconfig.Names() {
		t.Run(name, func(t *testing.T) {
			cfg, err := trainconfig.Load(name, "")
			if err != nil {
				t.Fatal(err)
			}
			cfg = shrink(t, cfg)
			heads := max(cfg.Network.Attention, 1)
			cfg.Network.Dim = 16 / heads * heads
			cfg.Params.SampleCoverage = 1
			cfg.Phases = cfg.Phases[:1]
			cfg.Phases[0].End = 2
			var data *formats.Dataset
			if data = single; cfg.Network.Loss == "sigmoid" {
				data = multi
			}
			res, err := Train(context.Background(), Options{Data: data, Config: cfg, Backend: b, Seed: 1, Workers: 2})
			if err != nil {
				t.Fatal(err)
			}
			if f := res.Test.F1Micro; !(f > 0 && f <= 1) || math.IsNaN(res.Val.Loss) {
				t.Errorf("after two epochs: test F1 %v, validation loss %v, want a score and a number", f, res.Val.Loss)
			}
		})
	}
}

// shrink gives samplers that cut the graph as many parts as a small one has room for.
func shrink(t *testing.T, c *trainconfig.Config) *trainconfig.Config {
	text := regexp.MustCompile(`(?m)^    parts: .*$`).ReplaceAll(c.Resolved(), []byte("    parts: 40"))
	small, err := trainconfig.Parse(c.Name, text)
	if err != nil {
		t.Fatal(err)
	}
	return small
}
