package trainconfig

import (
	"strings"
	"testing"
)

func TestFeaturesOnly(t *testing.T) {
	c, err := Load("table2/ppi2_rw.yml", "")
	if err != nil {
		t.Fatal(err)
	}
	before := string(c.Resolved())
	f := c.FeaturesOnly()
	want := strings.Replace(before, "arch: '1-0-1-0'", "arch: '0-0-0-0'", 1)
	if got := string(f.Resolved()); got != want {
		t.Errorf("FeaturesOnly().Resolved() =\n%s\nwant\n%s", got, want)
	}
	if got := string(c.Resolved()); got != before {
		t.Errorf("FeaturesOnly changed its receiver to\n%s", got)
	}
	if f.Hash() == c.Hash() {
		t.Error("FeaturesOnly().Hash() is that of the whole network")
	}
}
