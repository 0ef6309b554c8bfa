package metric

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

type goldenCase struct {
	Name       string
	Multi      bool
	Classes    int
	Logits     []float32
	Truth      []uint8
	Micro      float64
	Macro      float64
	Accuracy   float64
	ROCAUC     *float64
	Precision  []float64
	Recall, F1 []float64
	Support    []int64
}

// near allows for the different orders in which two float64 sums were made.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }

func TestAgainstScikitLearn(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Cases []goldenCase }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) == 0 {
		t.Fatal("golden.json holds no cases")
	}
	for _, g := range golden.Cases {
		t.Run(g.Name, func(t *testing.T) { checkCase(t, g) })
	}
}

func checkCase(t *testing.T, g goldenCase) {
	k := g.Classes
	c := NewConfusion(k)
	n := len(g.Logits) / k
	for i := range n {
		row := g.Logits[i*k : (i+1)*k]
		if g.Multi {
			c.AddMultiLogits(row, g.Truth[i*k:(i+1)*k])
		} else {
			c.AddLogits(row, int32(g.Truth[i]))
		}
	}
	if got := c.Rows(); got != int64(n) {
		t.Errorf("Rows() = %d, want %d", got, n)
	}
	for _, s := range []struct {
		name      string
		got, want float64
	}{{"F1Micro", c.F1Micro(), g.Micro}, {"F1Macro", c.F1Macro(g.Multi), g.Macro}, {"Accuracy", c.Accuracy(), g.Accuracy}} {
		if !near(s.got, s.want) {
			t.Errorf("%s = %v, want %v", s.name, s.got, s.want)
		}
	}
	for i, r := range c.Report() {
		if !near(r.Precision, g.Precision[i]) || !near(r.Recall, g.Recall[i]) || !near(r.F1, g.F1[i]) || r.Support != g.Support[i] {
			t.Errorf("class %d = %+v, want %v %v %v %v", i, r, g.Precision[i], g.Recall[i], g.F1[i], g.Support[i])
		}
	}
	if g.Multi {
		got := MeanROCAUC(g.Logits, g.Truth, k)
		if g.ROCAUC == nil && !math.IsNaN(got) || g.ROCAUC != nil && !near(got, *g.ROCAUC) {
			t.Errorf("MeanROCAUC = %v, want %v", got, g.ROCAUC)
		}
	}
}

func TestEmpty(t *testing.T) {
	c := NewConfusion(3)
	if c.F1Micro() != 0 || c.F1Macro(true) != 0 || c.F1Macro(false) != 0 || c.Accuracy() != 0 {
		t.Error("scores of nothing are not 0")
	}
	c.AddClass(1, 2)
	c.Reset()
	if c.Rows() != 0 || c.Report()[2].Support != 0 {
		t.Error("Reset leaves counts")
	}
	if !math.IsNaN(ROCAUC(nil, nil)) || !math.IsNaN(MeanROCAUC(nil, nil, 0)) {
		t.Error("ROC-AUC of nothing is not NaN")
	}
}

func TestROCAUCWithNaN(t *testing.T) {
	nan := float32(math.NaN())
	if got := ROCAUC([]float32{nan, nan, 1}, []uint8{0, 1, 1}); got < 0 || got > 1 {
		t.Errorf("ROCAUC with NaN scores = %v, want a number in [0,1] and no hang", got)
	}
}

func TestMultiLogitsOfOddValues(t *testing.T) {
	inf := float32(math.Inf(1))
	logits := []float32{0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), -float32(math.NaN()), 1e-45, -1e-45, 3, -3}
	for _, bit := range []uint8{0, 1} {
		truth := make([]uint8, len(logits))
		for i := range truth {
			truth[i] = bit
		}
		got := NewConfusion(len(logits))
		got.AddMultiLogits(logits, truth)
		for k, x := range logits {
			want := [3]int64{}
			switch {
			case x > 0 && bit == 1:
				want[0] = 1
			case x > 0:
				want[1] = 1
			case bit == 1:
				want[2] = 1
			}
			if c := [3]int64{got.tp[k], got.fp[k], got.fn[k]}; c != want {
				t.Errorf("logit %v, truth %d: counts %v, want %v", x, bit, c, want)
			}
		}
		if got.rows != 1 || got.right != 0 {
			t.Errorf("truth %d: %d rows, %d right, want 1 and 0", bit, got.rows, got.right)
		}
	}
}

func TestAddIsCountingTogether(t *testing.T) {
	logits := [][]float32{{1, -1, 2}, {-1, -1, 1}, {3, 2, 1}, {-1, 5, 0}}
	truth := [][]uint8{{1, 0, 1}, {1, 0, 1}, {0, 1, 1}, {0, 1, 0}}
	want, got := NewConfusion(3), NewConfusion(3)
	for i := range logits {
		want.AddMultiLogits(logits[i], truth[i])
		part := NewConfusion(3)
		part.AddMultiLogits(logits[i], truth[i])
		got.Add(part)
	}
	if got.F1Micro() != want.F1Micro() || got.F1Macro(true) != want.F1Macro(true) || got.Accuracy() != want.Accuracy() || got.Rows() != want.Rows() {
		t.Errorf("Add = %+v, want %+v", got, want)
	}
}
