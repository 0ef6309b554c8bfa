package trainconfig

import (
	"strings"
	"testing"
)

func TestBlocks(t *testing.T) {
	c, err := Parse("blocks.yml", []byte(edit("act: relu", "act: relu\n    norm: batch\n    residual: project\n    head: none")))
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Network; n.Norm != "batch" || n.Residual != "project" || n.Head != "none" || n.Bias != "bias" {
		t.Errorf("norm, residual, head, bias = %q, %q, %q, %q, want batch, project, none, bias", n.Norm, n.Residual, n.Head, n.Bias)
	}
	text := edit("dropout: 0.2", "dropout: 0.2\n    input_dropout: 0\n    edge_dropout: 0.25\n    edge_dropout_rescale: true\n    attention_dropout: 0.5")
	d, err := Parse("dropouts.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if p := d.Params; p.InputDropout == nil || *p.InputDropout != 0 || p.EdgeDropout != 0.25 || !p.EdgeDropoutRescale || p.AttentionDropout != 0.5 {
		t.Errorf("params = %+v, want the dropouts that were written", p)
	}
	for _, c := range []*Config{c, d} {
		again, err := Parse("again.yml", c.Resolved())
		if err != nil || string(again.Resolved()) != string(c.Resolved()) {
			t.Errorf("the resolved text does not read back: %v\n%s", err, c.Resolved())
		}
	}
	for _, key := range []string{"norm:", "residual", "head", "input_dropout", "edge_dropout", "attention_dropout"} {
		plain, err := Parse("good.yml", []byte(good))
		if err != nil || strings.Contains(strings.ReplaceAll(string(plain.Resolved()), "norm: estimate", ""), "\n    "+key+" ") {
			t.Errorf("a configuration without %s names it when resolved: %v\n%s", key, err, plain.Resolved())
		}
	}
}

func TestBadBlocks(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"norm", edit("act: relu", "norm: layer"), `norm is "layer", want one of batch`},
		{"residual", edit("act: relu", "residual: true"), `residual is "true", want one of identity, project`},
		{"head", edit("act: relu", "head: mlp"), `head is "mlp", want one of l2norm, linear, none`},
		{"two norms", edit("act: relu", "norm: batch\n    bias: norm"), "bias is norm, a norm within the layers; with norm or residual it must be bias"},
		{"no classifier", edit("act: relu", "head: none\n    jk: concat"), "head none leaves out the classifier, which jk needs"},
		{"edges", edit("dropout: 0.2", "edge_dropout: 1"), "bad.yml:9:19: edge_dropout is 1, want at least 0 and less than 1"},
		{"input", edit("dropout: 0.2", "input_dropout: -1"), "input_dropout is -1"},
		{"attention", edit("dropout: 0.2", "attention_dropout: 0.999999999"), "attention_dropout is 0.999999999"},
		{"rescale", edit("dropout: 0.2", "edge_dropout_rescale: true"), "edge_dropout_rescale needs edge_dropout above 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse("bad.yml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse = %v, want %s", err, c.want)
			}
		})
	}
}
