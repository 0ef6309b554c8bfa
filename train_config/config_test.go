package trainconfig

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const good = `network:
  - dim: 256
    aggr: concat
    loss: softmax
    arch: 1-1-0
    act: relu
params:
  - lr: 1e-2
    dropout: 0.2
    sample_coverage: 25
phase:
  - end: 5
    sampler: rw
    num_root: 6000
    depth: 2
  - end: 15
    sampler: node
    size_subgraph: 8000
`

type rwKeys struct {
	NumRoot int `yaml:"num_root"`
	Depth   int `yaml:"depth"`
}

type nodeKeys struct {
	Size *int `yaml:"size_subgraph"`
}

func TestParse(t *testing.T) {
	c, err := Parse("good.yml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Network.Arch, []int{1, 1, 0}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("arch = %v, want %v", got, want)
	}
	if c.Network.Bias != "norm" || c.Params.EvalValEvery != 1 || !c.Params.NormAggr || c.Params.GradClip != 5 || c.Params.LR != 0.01 {
		t.Errorf("defaults are wrong: %+v %+v", c.Network, c.Params)
	}
	var rw rwKeys
	if err := c.Phases[0].Params.Decode(&rw); err != nil || rw != (rwKeys{6000, 2}) {
		t.Errorf("phase 1 decodes to %+v, %v", rw, err)
	}
	if err := c.CheckUsed(); err == nil || !strings.Contains(err.Error(), `good.yml:18:5: unknown key "size_subgraph" in phase 2`) {
		t.Errorf("CheckUsed = %v, want the key nobody decoded", err)
	}
	var node nodeKeys
	if err := c.Phases[1].Params.Decode(&node); err != nil || node.Size == nil || *node.Size != 8000 {
		t.Errorf("phase 2 decodes to %+v, %v", node, err)
	}
	if err := c.CheckUsed(); err != nil {
		t.Errorf("CheckUsed = %v, want nil", err)
	}
	if got, want := c.Phases[0].SamplerJSON(), `{"depth":2,"num_root":6000,"sampler":"rw"}`; got != want {
		t.Errorf("SamplerJSON = %s, want %s", got, want)
	}
}

func TestLayer(t *testing.T) {
	c, err := Parse("layer.yml", []byte(edit("act: relu", "layer: gin")))
	if err != nil || c.Network.Layer != "gin" {
		t.Fatalf("layer = %q, %v, want gin", c.Network.Layer, err)
	}
	again, err := Parse("again.yml", c.Resolved())
	if err != nil || again.Network.Layer != "gin" {
		t.Errorf("the resolved text has layer %q, %v, want gin", again.Network.Layer, err)
	}
}

// What a run folder keeps must hold the keys of a user's layer, or a resumed run and eval
// would build another one.
func TestResolvedKeepsKeysOfLayers(t *testing.T) {
	c, err := Parse("layer.yml", []byte(edit("act: relu", "layer: gin\n    eps: 0.5\n    pool: 'max: 2'")))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again.yml", c.Resolved())
	if err != nil {
		t.Fatalf("%v\n%s", err, c.Resolved())
	}
	var own struct {
		Eps  float64 `yaml:"eps"`
		Pool string  `yaml:"pool"`
	}
	if err := again.Network.Extra.Decode(&own); err != nil || own.Eps != 0.5 || own.Pool != "max: 2" {
		t.Errorf("the resolved text holds %+v, %v, want eps 0.5 and pool max: 2\n%s", own, err, c.Resolved())
	}
	other, err := Parse("layer.yml", []byte(edit("act: relu", "layer: gin\n    eps: 0.25\n    pool: 'max: 2'")))
	if err != nil || other.Hash() == c.Hash() {
		t.Errorf("another eps: hash %s, %v, want another than %s", other.Hash(), err, c.Hash())
	}
}

func TestResolvedParsesToItself(t *testing.T) {
	for _, name := range Names() {
		c, err := Load(name, "")
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again", c.Resolved())
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, c.Resolved())
		}
		if string(again.Resolved()) != string(c.Resolved()) || again.Hash() != c.Hash() {
			t.Errorf("%s: resolving twice changes the text", name)
		}
	}
}

// edit replaces one text in the good configuration.
func edit(old, with string) string { return strings.Replace(good, old, with, 1) }

func TestBad(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "bad.yml: the file is empty"},
		{"not yaml", "network: [", "bad.yml:1:1: not YAML"},
		{"tab", "network:\n\t- dim: 1\n", "bad.yml:2:1: not YAML"},
		{"two documents", good + "---\nnetwork: 1\n", "more than one YAML document"},
		{"scalar", "hello", "bad.yml:1:1: the file"},
		{"no network", good[strings.Index(good, "params:"):], `no "network" list`},
		{"top-level short", edit("network:", "net:"), `bad.yml:1:1: unknown key "net" in the file (known are network, params, phase, system); did you mean "network"?`},
		{"top-level typo", edit("params:", "parms:"), `bad.yml:7:1: unknown key "parms" in the file (known are network, params, phase, system); did you mean "params"?`},
		{"extra list", good + "phases:\n  - end: 1\n", `bad.yml:19:1: unknown key "phases" in the file (known are network, params, phase, system); did you mean "phase"?`},
		{"mapping, not list", strings.Replace(edit("network:\n  - dim", "network:\n    dim"), "  - dim", "    dim", 1), "bad.yml:2:5: network must be a list"},
		{"two networks", edit("params:", "  - dim: 3\nparams:"), "bad.yml:7:5: network has 2 elements, want one"},
		{"two params", edit("phase:", "  - lr: 3\nphase:"), "params has 2 elements, want one"},
		{"two systems", good + "system:\n  - matmul: bf16\n  - matmul: fp32\n", "bad.yml:21:5: system has 2 elements, want one"},
		{"list of scalars", edit("  - lr: 1e-2\n    dropout: 0.2\n    sample_coverage: 25", "  - 3"), "bad.yml:8:5: params must be a mapping"},
		{"typo in params", edit("dropout", "dropot"), `bad.yml:9:5: unknown key "dropot" in params; did you mean "dropout"?`},
		{"duplicate key", edit("    act: relu", "    act: relu\n    dim: 3"), `bad.yml:7:5: key "dim" appears twice in network, first in line 2`},
		{"dim word", edit("256", "wide"), `bad.yml:2:10: dim: want an integer, got "wide"`},
		{"dim fraction", edit("256", "25.6"), `bad.yml:2:10: dim: want an integer, got "25.6"`},
		{"dim zero", edit("256", "0"), "bad.yml:2:10: dim is 0"},
		{"dim huge", edit("256", "99999999999999999999"), "bad.yml:2:10: dim: want an integer"},
		{"dim missing", edit("dim: 256\n    aggr", "aggr"), "bad.yml:2:5: network needs dim"},
		{"dim list", edit("256", "[1]"), "bad.yml:2:10: dim: want an integer, got a list"},
		{"dim null", edit("256", ""), "bad.yml:2:9: dim: want an integer, got nothing"},
		{"arch letters", edit("1-1-0", "1-x-0"), `bad.yml:5:11: arch is "1-x-0"`},
		{"arch empty part", edit("1-1-0", "1--0"), "arch is"},
		{"arch order", edit("1-1-0", "99-0"), "arch is"},
		{"arch missing", edit("    arch: 1-1-0\n", ""), "network needs arch"},
		{"aggr", edit("aggr: concat", "aggr: sum"), `bad.yml:3:11: aggr is "sum", want one of concat, mean`},
		{"loss", edit("softmax", "hinge"), `loss is "hinge", want one of softmax, softmax_log, sigmoid`},
		{"act", edit("relu", "gelu"), `act is "gelu"`},
		{"lr negative", edit("1e-2", "-1"), "bad.yml:8:9: lr is -1"},
		{"lr infinite", edit("1e-2", ".inf"), "lr: want a finite number"},
		{"lr nan", edit("1e-2", ".nan"), "lr: want a finite number"},
		{"lr quoted", edit("1e-2", "'0.01'"), "lr: want a finite number"},
		{"dropout one", edit("0.2", "1"), "bad.yml:9:14: dropout is 1"},
		{"coverage", edit("25\nphase", "-3\nphase"), "sample_coverage is -3"},
		{"eval", edit("lr: 1e-2", "eval_val_every: 0"), "eval_val_every is 0"},
		{"bool", edit("lr: 1e-2", "norm_loss: 3"), `norm_loss: want true or false, got "3"`},
		{"norm", edit("lr: 1e-2", "norm: guessed"), `norm is "guessed", want one of estimate, exact`},
		{"clip type", edit("lr: 1e-2", "grad_clip_type: both"), "grad_clip_type is"},
		{"gate without heads", edit("act: relu", "gated_attention: true"), "gated_attention needs attention"},
		{"jk", edit("act: relu", "jk: sum"), `jk is "sum", want concat or max_pool`},
		{"end missing", edit("end: 5\n    sampler", "sampler"), "phase 1 needs end"},
		{"end not rising", edit("end: 15", "end: 5"), "bad.yml:16:10: phase 2 ends at epoch 5, want more than 5"},
		{"sampler missing", edit("    sampler: rw\n", ""), "phase 1 needs sampler"},
		{"no phases", edit(good[strings.Index(good, "phase:"):], "phase: []\n"), "phase must be a list with at least one element"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("bad.yml", []byte(tt.text))
			var e *Error
			if err == nil || !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse = %v, want an *Error with %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has more than one line: %q", err)
			}
		})
	}
}

func TestEmbedded(t *testing.T) {
	names := Names()
	own := 0
	for _, n := range names {
		if strings.HasPrefix(n, "layers/") || strings.HasPrefix(n, "exact/") || strings.HasPrefix(n, "demo/") || n == "explore/ppi2_gat.yml" {
			own++
		}
	}
	if own == 0 || len(names)-own < 33 {
		t.Errorf("%d embedded configurations, %d of them not GraphSAINT's; want 33 of those", len(names), own)
	}
	for _, tt := range []struct{ name, data, want string }{
		{"table2/flickr2_rw.yml", "", "table2/flickr2_rw.yml"},
		{"train_config/table2/flickr2_rw.yml", "", "table2/flickr2_rw.yml"},
		{"rw.yml", "flickr", "table2/flickr2_rw.yml"},
		{"mrw.yml", "synth:yelp-like?seed=3", "table2/yelp2_mrw.yml"},
		{"e.yml", "amazon", "table2/amazon_2_e.yml"},
		{"rw.yml", "synth:tiny", "demo/tiny_rw.yml"},
	} {
		dir := t.TempDir()
		t.Chdir(dir)
		c, err := Load(tt.name, tt.data)
		if err != nil {
			t.Errorf("Load(%q, %q): %v", tt.name, tt.data, err)
			continue
		}
		if c.Name != tt.want {
			t.Errorf("Load(%q, %q) chose %s, want %s", tt.name, tt.data, c.Name, tt.want)
		}
	}
	c, err := Load("table2/yelp2_mrw.yml", "")
	if err != nil || c.Network.Dim != 512 || c.Phases[0].End != 100 || c.Params.SampleCoverage != 50 {
		t.Errorf("yelp2_mrw = %+v, %v", c, err)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("rw.yml", []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load("rw.yml", "flickr"); err != nil || c.Name != "rw.yml" {
		t.Errorf("an existing file must win: %v, %v", c, err)
	}
	big := filepath.Join(dir, "big.yml")
	if err := os.WriteFile(big, make([]byte, maxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	endless := "/dev/zero" // reports size 0 and never ends
	if _, err := os.Stat(endless); err != nil {
		endless = big
	}
	for _, tt := range []struct{ name, data, want string }{
		{endless, "", "a configuration has at most"},
		{dir, "", "is a folder"},
		{big, "", "a configuration has at most"},
		{"table2/flickr2_rv.yml", "", "did you mean table2/flickr2_rw.yml?"},
		{"mw.yml", "flickr", "did you mean table2/flickr2_mrw.yml?"},
	} {
		_, err := Load(tt.name, tt.data)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Load(%q) = %v, want %q", tt.name, err, tt.want)
		}
	}
}

// yamlBreaks counts at least the line breaks that YAML knows. Texts in UTF-16 have at most one
// in two bytes.
func yamlBreaks(data []byte) int {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return len(data) / 2
	}
	n := 0
	for _, b := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
		n += bytes.Count(data, []byte(b))
	}
	return n
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	for _, name := range Names() {
		text, err := embedded.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(withParams("optimizer: rmsprop; momentum: 0.5; schedule: plateau; class_weights: [1, 2.5]; patience: 3")))
	f.Add([]byte(withParams("schedule: cosine; lr_min: 1e-3; warmup_steps: 5; class_weights: balanced; label_smoothing: 0.1")))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("---"))
	f.Add([]byte(good + "    &size: 4500\n"))
	f.Add([]byte("\xff\xfe) \xd9\x01"))
	f.Add([]byte(strings.Replace(good, "    act:", "    own: 'rel\r\r\r\ru'\n    act:", 1)))
	f.Add([]byte("network: &x\n  - *x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.yml", data)
		if err != nil {
			var bad *Error
			if !errors.As(err, &bad) || bad.File != "fuzz.yml" || bad.Line < 0 || bad.Line > 1+yamlBreaks(data) {
				t.Errorf("error %#v, want one that names a line of the file", err)
			}
			return
		}
		again, err := Parse("fuzz.yml", c.Resolved())
		if err != nil {
			t.Fatalf("the resolved text does not parse: %v\n%s", err, c.Resolved())
		}
		if !bytes.Equal(again.Resolved(), c.Resolved()) || again.Hash() != c.Hash() {
			t.Errorf("resolved:\n%s\nresolved again:\n%s", c.Resolved(), again.Resolved())
		}
		for i := range c.Phases {
			if got, want := again.Phases[i].SamplerJSON(), c.Phases[i].SamplerJSON(); got != want {
				t.Errorf("sampler %s, want %s", got, want)
			}
		}
	})
}

func TestLoadSaysThatDataHasNoShortNames(t *testing.T) {
	_, err := Load("rw.yml", "ogbn-arxiv")
	if want := `(data "ogbn-arxiv" has no short names)`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf(`Load("rw.yml", "ogbn-arxiv") = %v, want an error with %s`, err, want)
	}
	if _, err := Load("rv.yml", "ppi"); err == nil || strings.Contains(err.Error(), "short names") {
		t.Errorf(`Load("rv.yml", "ppi") = %v, want an error without "short names"`, err)
	}
}

func TestKeysWithoutNames(t *testing.T) {
	for _, key := range []string{"&size", "''", "? {a: b}\n    "} {
		_, err := Parse("k.yml", []byte(good+"    "+key+": 4500\n"))
		if want := "has a key without a name"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse of the key %q = %v, want an error that it %s", key, err, want)
		}
	}
}
