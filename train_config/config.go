package trainconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Config is one parsed training configuration.
type Config struct {
	Name    string // the file as the user knows it
	Network Network
	Params  Params
	Phases  []Phase
	System  System

	sections []*Section
}

// Network describes the model. Keys and meaning are GraphSAINT's.
type Network struct {
	Dim   int    // hidden width of every layer
	Aggr  string // "concat" or "mean" (hops are summed)
	Loss  string // "softmax", "softmax_log" or "sigmoid"
	Arch  []int  // order of each layer
	Act   string // "I", "relu" or "leaky_relu"
	Bias  string // "bias", "norm" or "norm-nn"
	JK    string // "", "concat" or "max_pool"
	Layer string // registered kind of the layers; "": that of GraphSAINT
	Extra *Section

	Attention        int // heads; 0: none
	AttentionVariant string
	GatedAttention   bool

	Norm     string // between layers: "" or "batch"
	Residual string // "", "identity" or "project"
	Head     string // "l2norm", "linear" or "none"
}

// Params are the training parameters.
type Params struct {
	LR             float64
	Dropout        float64
	WeightDecay    float64
	SampleCoverage int
	EvalValEvery   int
	NormLoss       bool
	NormAggr       bool
	Norm           string  // "estimate", "exact" or "subgraph"
	GradClip       float64 // 0: none
	GradClipType   string  // "norm" or "value"
	Compat         string  // "" or "reference"
	Double         bool    // double precision, dtype: d

	InputDropout       *float64 // of the features; nil: Dropout
	EdgeDropout        float64  // share of the edges that a step does without
	EdgeDropoutRescale bool     // the others count for them
	AttentionDropout   float64  // of the weights of attention with softmax
	Dropout2           bool     // training keeps elements as they are, evaluation multiplies by 1-dropout

	Optimizer      Optimizer
	Schedule       Schedule
	Patience       int // epochs without a better score after which training ends; 0: never
	ClassWeights   ClassWeights
	LabelSmoothing float64
	Activations    Activations
	Inputs         Inputs
	Accumulate     int      // subgraphs whose mean gradient an update takes, 1 or more
	Section        *Section // where they stand, for errors
}

// Phase is one stage of training with its own sampler.
type Phase struct {
	End     int // epoch at which the phase ends, counted from the start of training
	Sampler string
	Params  *Section // the sampler's own keys
}

type networkKeys struct {
	Dim              int     `yaml:"dim"`
	Aggr             string  `yaml:"aggr"`
	Loss             string  `yaml:"loss"`
	Arch             *string `yaml:"arch"`
	Act              string  `yaml:"act"`
	Bias             string  `yaml:"bias"`
	JK               *string `yaml:"jk"`
	Layer            string  `yaml:"layer"`
	Attention        int     `yaml:"attention"`
	AttentionVariant string  `yaml:"attention_variant"`
	GatedAttention   bool    `yaml:"gated_attention"`
	Norm             string  `yaml:"norm"`
	Residual         string  `yaml:"residual"`
	Head             string  `yaml:"head"`
}

type paramKeys struct {
	LR             float64  `yaml:"lr"`
	Dropout        float64  `yaml:"dropout"`
	WeightDecay    float64  `yaml:"weight_decay"`
	SampleCoverage int      `yaml:"sample_coverage"`
	EvalValEvery   int      `yaml:"eval_val_every"`
	NormLoss       bool     `yaml:"norm_loss"`
	NormAggr       bool     `yaml:"norm_aggr"`
	Norm           string   `yaml:"norm"`
	GradClip       float64  `yaml:"grad_clip"`
	GradClipType   string   `yaml:"grad_clip_type"`
	Compat         string   `yaml:"compat"`
	DType          string   `yaml:"dtype"`
	InputDropout   *float64 `yaml:"input_dropout"`
	EdgeDropout    float64  `yaml:"edge_dropout"`
	EdgeRescale    bool     `yaml:"edge_dropout_rescale"`
	AttDropout     float64  `yaml:"attention_dropout"`
	Dropout2       bool     `yaml:"dropout2"`
	QThreshold     int      `yaml:"q_threshold"` // of the reference's queue; accepted, unused
	QOffset        int      `yaml:"q_offset"`    // likewise
}

type phaseKeys struct {
	End     *int   `yaml:"end"`
	Sampler string `yaml:"sampler"`
}

// Parse reads a configuration; name appears in errors. Keys of a sampler's or layer's own
// stay undecoded: after their owners have run, CheckUsed reports what nobody knew.
func Parse(name string, data []byte) (*Config, error) {
	root, err := parseRoot(name, data)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"network", "params", "phase", "system"} {
		root.known[key] = true
	}
	if err := root.Unused(); err != nil {
		return nil, err
	}
	c := &Config{Name: name}
	net, err := c.one(root, "network")
	if err != nil {
		return nil, err
	}
	par, err := c.one(root, "params")
	if err != nil {
		return nil, err
	}
	phases, err := c.list(root, "phase")
	if err != nil {
		return nil, err
	}
	if err := c.readNetwork(net); err != nil {
		return nil, err
	}
	if err := c.readParams(par); err != nil {
		return nil, err
	}
	c.sections = append(c.sections, net, par)
	for _, s := range phases {
		if err := c.readPhase(s); err != nil {
			return nil, err
		}
		c.sections = append(c.sections, s)
	}
	c.defaultNorms(par)
	if err := c.readSystem(root); err != nil {
		return nil, err
	}
	return c, par.Unused()
}

// plain are the samplers whose papers train without coefficients.
var plain = map[string]bool{"cluster_gcn": true}

// defaultNorms turns normalisation off where all samplers do without and params says nothing.
func (c *Config) defaultNorms(s *Section) {
	for _, p := range c.Phases {
		if !plain[p.Sampler] {
			return
		}
	}
	if s.value("norm") == nil && s.value("norm_loss") == nil && s.value("norm_aggr") == nil {
		c.Params.Norm, c.Params.NormLoss, c.Params.NormAggr = "subgraph", false, false
	}
}

// yamlLine finds the position that the YAML library puts into its messages.
var yamlLine = regexp.MustCompile(`line (\d+):\s*`)

func parseRoot(name string, data []byte) (*Section, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, emptyFile(name)
		}
		e := &Error{File: name, Msg: strings.TrimPrefix(err.Error(), "yaml: ")}
		if m := yamlLine.FindStringSubmatch(e.Msg); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			e.Col = 1
			e.Msg = strings.Replace(e.Msg, m[0], "", 1)
		}
		e.Msg = "not YAML: " + e.Msg
		return nil, e
	}
	var next yaml.Node
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		return nil, &Error{File: name, Msg: "more than one YAML document; want one"}
	}
	if root := doc.Content[0]; root.Kind == yaml.ScalarNode && root.Value == "" {
		return nil, emptyFile(name) // of "---" alone the library gives a line that is not there
	}
	return newSection(name, "the file (known are network, params, phase, system)", doc.Content[0])
}

func emptyFile(name string) error {
	return &Error{File: name, Msg: "the file is empty; want the lists network, params and phase"}
}

// one returns the element of a list that has no more.
func (c *Config) one(root *Section, key string) (*Section, error) {
	all, err := c.list(root, key)
	if err != nil {
		return nil, err
	}
	if n := len(all); n > 1 {
		return nil, errorAt(c.Name, root.value(key).Content[1], "%s has %d elements, want one", key, n)
	}
	return all[0], nil
}

// list returns the mappings of a top-level list.
func (c *Config) list(root *Section, key string) ([]*Section, error) {
	n := root.value(key)
	if n == nil {
		return nil, &Error{File: c.Name, Msg: fmt.Sprintf("no %q list", key)}
	}
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, errorAt(c.Name, n, "%s must be a list with at least one element (a line that starts with -)", key)
	}
	out := make([]*Section, 0, len(n.Content))
	for i, item := range n.Content {
		where := key
		if key == "phase" {
			where = fmt.Sprintf("phase %d", i+1)
		}
		s, err := newSection(c.Name, where, item)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (c *Config) readNetwork(s *Section) error {
	k := networkKeys{Aggr: "concat", Loss: "softmax", Act: "I", Head: "l2norm"}
	if err := s.Decode(&k); err != nil {
		return err
	}
	if err := checkBlocks(s, &k); err != nil {
		return err
	}
	if err := oneOf(s, map[string]string{
		"aggr": k.Aggr, "loss": k.Loss, "act": k.Act, "bias": k.Bias, "attention_variant": k.AttentionVariant,
		"norm": k.Norm, "residual": k.Residual, "head": k.Head,
	}, map[string]string{
		"aggr": "concat mean", "loss": "softmax softmax_log sigmoid", "act": "I relu leaky_relu", "bias": "bias norm norm-nn", "attention_variant": " tf",
		"norm": " batch", "residual": " identity project", "head": "l2norm linear none",
	}); err != nil {
		return err
	}
	switch {
	case s.value("dim") == nil:
		return s.Errorf("dim", "network needs dim, the hidden width")
	case k.Dim < 1 || k.Dim > 1<<16:
		return s.Errorf("dim", "dim is %d, want 1 to 65536", k.Dim)
	case k.Arch == nil:
		return s.Errorf("arch", "network needs arch, for example '1-1-0'")
	case k.Attention < 0 || k.Attention > k.Dim:
		return s.Errorf("attention", "attention is %d heads, want 0 to dim (%d)", k.Attention, k.Dim)
	case k.GatedAttention && k.Attention == 0:
		return s.Errorf("gated_attention", "gated_attention needs attention: the number of heads")
	}
	c.Network = Network{
		Dim: k.Dim, Aggr: k.Aggr, Loss: k.Loss, Act: k.Act, Bias: k.Bias, Layer: k.Layer, Extra: s,
		Attention: k.Attention, AttentionVariant: k.AttentionVariant, GatedAttention: k.GatedAttention,
		Norm: k.Norm, Residual: k.Residual, Head: k.Head,
	}
	if k.JK != nil {
		if *k.JK != "concat" && *k.JK != "max_pool" {
			return s.Errorf("jk", "jk is %q, want concat or max_pool", *k.JK)
		}
		c.Network.JK = *k.JK
	}
	for _, part := range strings.Split(*k.Arch, "-") {
		order, err := strconv.Atoi(part)
		if err != nil || order < 0 || order > 16 {
			return s.Errorf("arch", "arch is %q, want the order (0 to 16) of each layer joined by -, for example '1-0-1-0'", *k.Arch)
		}
		c.Network.Arch = append(c.Network.Arch, order)
	}
	if len(c.Network.Arch) > 256 {
		return s.Errorf("arch", "arch has %d layers, want at most 256", len(c.Network.Arch))
	}
	return nil
}

// checkBlocks fills in the bias, which depends on whether norm and activation stand behind the
// layers.
func checkBlocks(s *Section, k *networkKeys) error {
	behind := k.Norm != "" || k.Residual != ""
	switch {
	case k.Bias == "" && behind:
		k.Bias = "bias"
	case k.Bias == "":
		k.Bias = "norm"
	case behind && k.Bias != "bias":
		return s.Errorf("bias", "bias is %s, a norm within the layers; with norm or residual it must be bias", k.Bias)
	}
	if k.Head == "none" && k.JK != nil {
		return s.Errorf("head", "head none leaves out the classifier, which jk needs")
	}
	return nil
}

// oneOf checks words against blank-separated lists, in the order of the keys in the file.
func oneOf(s *Section, got, want map[string]string) error {
	for _, kv := range s.Values() {
		w, ok := got[kv[0]]
		if !ok {
			continue
		}
		found := false
		for _, x := range strings.Split(want[kv[0]], " ") {
			found = found || x == w
		}
		if !found {
			return s.Errorf(kv[0], "%s is %q, want one of %s", kv[0], w, strings.Join(strings.Fields(want[kv[0]]), ", "))
		}
	}
	return nil
}

func (c *Config) readParams(s *Section) error {
	k := paramKeys{LR: 0.01, SampleCoverage: 50, EvalValEvery: 1, NormLoss: true, NormAggr: true, Norm: "estimate", GradClip: 5, GradClipType: "norm", DType: "s"}
	if err := s.Decode(&k); err != nil {
		return err
	}
	if err := oneOf(s, map[string]string{"grad_clip_type": k.GradClipType, "compat": k.Compat, "norm": k.Norm, "dtype": k.DType},
		map[string]string{"grad_clip_type": "norm value", "compat": " reference", "norm": "estimate exact subgraph", "dtype": "s d"}); err != nil {
		return err
	}
	switch {
	case k.LR <= 0:
		return s.Errorf("lr", "lr is %v, want more than 0", k.LR)
	case k.Dropout < 0 || k.Dropout >= 1:
		return s.Errorf("dropout", "dropout is %v, want at least 0 and less than 1", k.Dropout)
	case k.WeightDecay < 0:
		return s.Errorf("weight_decay", "weight_decay is %v, want 0 or more", k.WeightDecay)
	case k.SampleCoverage < 0 || k.SampleCoverage > 1<<30:
		return s.Errorf("sample_coverage", "sample_coverage is %d, want 0 to 2^30", k.SampleCoverage)
	case k.EvalValEvery < 1:
		return s.Errorf("eval_val_every", "eval_val_every is %d, want 1 or more", k.EvalValEvery)
	case k.GradClip < 0:
		return s.Errorf("grad_clip", "grad_clip is %v, want 0 (off) or more", k.GradClip)
	}
	c.Params = Params{
		LR: k.LR, Dropout: k.Dropout, WeightDecay: k.WeightDecay, SampleCoverage: k.SampleCoverage, EvalValEvery: k.EvalValEvery,
		NormLoss: k.NormLoss, NormAggr: k.NormAggr, Norm: k.Norm, GradClip: k.GradClip, GradClipType: k.GradClipType, Compat: k.Compat,
		Double: k.DType == "d",
	}
	if k.Norm == "subgraph" {
		for _, key := range []string{"norm_loss", "norm_aggr"} {
			if n := s.value(key); n != nil && n.Value == "true" {
				return s.Errorf(key, "%s is true, but norm: subgraph means no coefficients", key)
			}
		}
		c.Params.NormLoss, c.Params.NormAggr = false, false
	}
	if err := c.Params.setDropouts(s, &k); err != nil {
		return err
	}
	return c.readTraining(s)
}

func (c *Config) readPhase(s *Section) error {
	var k phaseKeys
	if err := s.Decode(&k); err != nil {
		return err
	}
	last := 0
	if n := len(c.Phases); n > 0 {
		last = c.Phases[n-1].End
	}
	switch {
	case k.End == nil:
		return s.Errorf("end", "%s needs end, the epoch at which it ends", s.where)
	case *k.End <= last:
		return s.Errorf("end", "%s ends at epoch %d, want more than %d", s.where, *k.End, last)
	case *k.End > 1<<30:
		return s.Errorf("end", "%s ends at epoch %d, want at most 2^30", s.where, *k.End)
	case k.Sampler == "":
		return s.Errorf("sampler", "%s needs sampler", s.where)
	}
	c.Phases = append(c.Phases, Phase{End: *k.End, Sampler: k.Sampler, Params: s})
	return nil
}

// CheckUsed reports the first key that no owner has decoded. Call it once the samplers and
// layers have been built.
func (c *Config) CheckUsed() error {
	for _, s := range c.sections {
		if err := s.Unused(); err != nil {
			return err
		}
	}
	return nil
}

// Resolved returns the configuration as YAML with every default filled in; the keys of
// samplers and layers stand as they were written. Equal texts train alike.
func (c *Config) Resolved() []byte {
	var b bytes.Buffer
	n, p := c.Network, c.Params
	arch := make([]string, len(n.Arch))
	for i, o := range n.Arch {
		arch[i] = strconv.Itoa(o)
	}
	fmt.Fprintf(&b, "network:\n  - dim: %d\n    aggr: %s\n    loss: %s\n    arch: '%s'\n    act: %s\n    bias: %s\n",
		n.Dim, n.Aggr, n.Loss, strings.Join(arch, "-"), n.Act, n.Bias)
	if n.Layer != "" {
		fmt.Fprintf(&b, "    layer: %s\n", quoteYAML(n.Layer))
	}
	if n.JK != "" {
		fmt.Fprintf(&b, "    jk: %s\n", n.JK)
	}
	if n.Attention > 0 {
		fmt.Fprintf(&b, "    attention: %d\n    gated_attention: %t\n", n.Attention, n.GatedAttention)
		if n.AttentionVariant != "" {
			fmt.Fprintf(&b, "    attention_variant: %s\n", n.AttentionVariant)
		}
	}
	n.writeBlocks(&b)
	writeForeign(&b, n.Extra, networkKeys{})
	fmt.Fprintf(&b, "params:\n  - lr: %v\n    dropout: %v\n    weight_decay: %v\n    sample_coverage: %d\n    eval_val_every: %d\n    norm_loss: %t\n    norm_aggr: %t\n    grad_clip: %v\n    grad_clip_type: %s\n",
		p.LR, p.Dropout, p.WeightDecay, p.SampleCoverage, p.EvalValEvery, p.NormLoss, p.NormAggr, p.GradClip, p.GradClipType)
	if p.Norm != "estimate" {
		fmt.Fprintf(&b, "    norm: %s\n", p.Norm)
	}
	if p.Compat != "" {
		fmt.Fprintf(&b, "    compat: %s\n", p.Compat)
	}
	if p.Double {
		b.WriteString("    dtype: d\n")
	}
	p.writeDropouts(&b)
	p.writeTraining(&b)
	b.WriteString("phase:\n")
	for _, ph := range c.Phases {
		fmt.Fprintf(&b, "  - end: %d\n    sampler: %s\n", ph.End, quoteYAML(ph.Sampler))
		writeForeign(&b, ph.Params, phaseKeys{})
	}
	c.System.write(&b)
	return b.Bytes()
}

// writeForeign writes the keys of s that belong to a sampler or a layer.
func writeForeign(b *bytes.Buffer, s *Section, own any) {
	for _, kv := range s.foreign(own) {
		fmt.Fprintf(b, "    %s: %s\n", quoteYAML(kv[0]), quoteYAML(kv[1]))
	}
}

// quoteYAML writes a scalar so that it reads back as the same text and type.
func quoteYAML(v string) string {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: v}
	// The library's block style for texts with line ends does not keep carriage returns.
	if strings.ContainsFunc(v, unicode.IsControl) {
		node.Style = yaml.DoubleQuotedStyle
	}
	out, err := yaml.Marshal(node)
	if err != nil {
		return strconv.Quote(v)
	}
	return strings.TrimSpace(string(out))
}

// Hash returns the SHA-256 (hex) of Resolved.
func (c *Config) Hash() string {
	sum := sha256.Sum256(c.Resolved())
	return hex.EncodeToString(sum[:])
}
