package trainconfig

import (
	"bytes"
	"fmt"
)

// writeBlocks writes what stands around the layers where it is not as usual.
func (n *Network) writeBlocks(b *bytes.Buffer) {
	for _, kv := range [][2]string{{"norm", n.Norm}, {"residual", n.Residual}} {
		if kv[1] != "" {
			fmt.Fprintf(b, "    %s: %s\n", kv[0], kv[1])
		}
	}
	if n.Head != "l2norm" {
		fmt.Fprintf(b, "    head: %s\n", n.Head)
	}
}

// setDropouts reads the shares of what is left out besides dropout.
func (p *Params) setDropouts(s *Section, k *paramKeys) error {
	p.InputDropout, p.EdgeDropout, p.EdgeDropoutRescale, p.AttentionDropout = k.InputDropout, k.EdgeDropout, k.EdgeRescale, k.AttDropout
	p.Dropout2 = k.Dropout2
	input := 0.0
	if p.InputDropout != nil {
		input = *p.InputDropout
	}
	for _, share := range []struct {
		key string
		v   float64
	}{{"input_dropout", input}, {"edge_dropout", p.EdgeDropout}, {"attention_dropout", p.AttentionDropout}} {
		if share.v < 0 || float32(share.v) >= 1 {
			return s.Errorf(share.key, "%s is %v, want at least 0 and less than 1", share.key, share.v)
		}
	}
	if p.EdgeDropoutRescale && p.EdgeDropout == 0 {
		return s.Errorf("edge_dropout_rescale", "edge_dropout_rescale needs edge_dropout above 0")
	}
	return nil
}

// writeDropouts writes the shares that are not as usual.
func (p *Params) writeDropouts(b *bytes.Buffer) {
	if p.InputDropout != nil {
		fmt.Fprintf(b, "    input_dropout: %v\n", *p.InputDropout)
	}
	if p.EdgeDropout > 0 {
		fmt.Fprintf(b, "    edge_dropout: %v\n", p.EdgeDropout)
	}
	if p.EdgeDropoutRescale {
		b.WriteString("    edge_dropout_rescale: true\n")
	}
	if p.Dropout2 {
		b.WriteString("    dropout2: true\n")
	}
	if p.AttentionDropout > 0 {
		fmt.Fprintf(b, "    attention_dropout: %v\n", p.AttentionDropout)
	}
}
