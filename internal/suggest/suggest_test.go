package suggest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"dim", "aggr", "num_root", "depth", "size_subgraph", "train", "predict", "flickr-like"}
	for _, tt := range []struct{ word, want string }{
		{"num_rot", "num_root"},
		{"num_rtoo", "num_root"},
		{"traim", "train"},
		{"size_subgrph", "size_subgraph"},
		{"flickr", "flickr-like"},
		{"pre", "predict"},
		{"dmi", "dim"},
		{"zzz", ""},
		{"", ""},
		{"x", ""},
		{strings.Repeat("a", 1000), ""},
	} {
		if got := Nearest(tt.word, known); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
	if got := Nearest("a", nil); got != "" {
		t.Errorf("Nearest without known names = %q, want none", got)
	}
}

func TestEdits(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abc", "abc", 0}} {
		if got := edits(tt.a, tt.b); got != tt.want {
			t.Errorf("edits(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
