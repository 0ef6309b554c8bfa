package trainconfig

import (
	"strings"
	"testing"
)

func TestFeatureType(t *testing.T) {
	plain, err := Parse("good.yml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		lines string
		half  bool
	}{{"feature_dtype: f16", true}, {"feature_dtype: f32", false}, {"matmul: bf16\n    feature_dtype: f16", true}, {"graphs: on\n    feature_dtype: f16", true}} {
		c, err := Parse("good.yml", []byte(good+"system:\n  - "+tt.lines+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if c.System.Half != tt.half {
			t.Errorf("%q: Half = %t, want %t", tt.lines, c.System.Half, tt.half)
		}
		if same := c.Hash() == plain.Hash(); same == tt.half {
			t.Errorf("%q: hash equal to that without: %t, want %t", tt.lines, same, !tt.half)
		}
		again, err := Parse("again.yml", c.Resolved())
		if err != nil || again.Hash() != c.Hash() || again.System != c.System {
			t.Errorf("%q: resolved to %+v, %v, want %+v:\n%s", tt.lines, again.System, err, c.System, c.Resolved())
		}
	}
	for _, tt := range []struct{ params, system, want string }{
		{"", "graphs: yes", `graphs is "yes", want one of off, on, auto`},
		{"", "feature_dtype: bf16", `feature_dtype is "bf16", want one of f32, f16`},
		{"use_labels: true", "feature_dtype: f16", "labels are added to features in single precision only"},
		{"dtype: d", "feature_dtype: f16", "dtype d is double precision"},
	} {
		_, err := Parse("bad.yml", []byte(withParams(tt.params)+"system:\n  - "+tt.system+"\n"))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %s: error %v, want %s", tt.params, tt.system, err, tt.want)
		}
	}
}
