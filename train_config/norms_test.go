package trainconfig

import (
	"strings"
	"testing"
)

func TestDefaultNorms(t *testing.T) {
	const cluster, rw = "sampler: cluster_gcn, parts: 9, clusters_per_batch: 2", "sampler: rw, num_root: 3, depth: 2"
	for _, c := range []struct {
		params     string
		phases     []string
		loss, aggr bool
	}{
		{"lr: 0.1", []string{rw}, true, true},
		{"lr: 0.1", []string{cluster}, false, false},
		{"lr: 0.1", []string{cluster, cluster}, false, false},
		{"lr: 0.1", []string{cluster, rw}, true, true},
		{"norm_loss: true", []string{cluster}, true, true},
		{"norm_aggr: true, norm_loss: false", []string{cluster}, false, true},
		{"norm: subgraph", []string{rw}, false, false},
		{"norm: subgraph, norm_aggr: false", []string{rw}, false, false},
		{"norm: estimate", []string{cluster}, true, true},
		{"norm: exact", []string{cluster}, true, true},
		{"norm: exact, norm_aggr: false", []string{cluster}, true, false},
		{"norm_loss: false, norm_aggr: false", []string{rw}, false, false},
	} {
		text := "network:\n  - {dim: 4, arch: '1-0'}\nparams:\n  - {" + c.params + "}\nphase:\n"
		for i, p := range c.phases {
			text += "  - {end: " + string(rune('1'+i)) + ", " + p + "}\n"
		}
		conf, err := Parse("x.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if conf.Params.NormLoss != c.loss || conf.Params.NormAggr != c.aggr {
			t.Errorf("%s with %s: norm_loss %t, norm_aggr %t, want %t, %t", c.params, strings.Join(c.phases, "; "), conf.Params.NormLoss, conf.Params.NormAggr, c.loss, c.aggr)
		}
		if mean := c.phases[0] == cluster && c.params == "lr: 0.1" && !c.loss || strings.HasPrefix(c.params, "norm: subgraph"); mean != (conf.Params.Norm == "subgraph") {
			t.Errorf("%s with %s: norm %s, want subgraph: %t", c.params, strings.Join(c.phases, "; "), conf.Params.Norm, mean)
		}
		again, err := Parse("y.yml", conf.Resolved())
		if err != nil || again.Params.NormLoss != c.loss || again.Params.NormAggr != c.aggr || again.Params.Norm != conf.Params.Norm {
			t.Errorf("%s: the resolved configuration reads %+v, %v", c.params, again.Params, err)
		}
	}
}

func TestSubgraphMeansLeaveNoCoefficients(t *testing.T) {
	_, err := Parse("x.yml", []byte("network:\n  - {dim: 4, arch: '1-0'}\nparams:\n  - {norm: subgraph, norm_aggr: true}\nphase:\n  - {end: 1, sampler: full_batch}\n"))
	if err == nil || !strings.Contains(err.Error(), "x.yml:4:33: norm_aggr is true, but norm: subgraph") {
		t.Errorf("Parse = %v, want an error about norm_aggr", err)
	}
}
