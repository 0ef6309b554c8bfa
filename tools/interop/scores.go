package main

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/trainer/metric"
)

type scoreArgs struct {
	Classes int    `json:"classes"`
	Multi   bool   `json:"multi"`
	Logits  array  `json:"logits"` // float32, a row of Classes a node; or
	Pred    *array `json:"pred"`   // int32, one class a node
	Truth   array  `json:"truth"`  // int32, one class a node; or uint8, a row of 0 and 1 a node
}

func score(q scoreArgs) (any, error) {
	c := metric.NewConfusion(q.Classes)
	logits := unpack[float32](q.Logits.Data)
	switch {
	case q.Multi:
		truth := q.Truth.Data
		if len(truth) != len(logits) {
			return nil, fmt.Errorf("%d labels for %d logits", len(truth), len(logits))
		}
		for at := 0; at < len(truth); at += q.Classes {
			c.AddMultiLogits(logits[at:at+q.Classes], truth[at:at+q.Classes])
		}
	case q.Pred != nil:
		pred := unpack[int32](q.Pred.Data)
		for i, t := range unpack[int32](q.Truth.Data) {
			c.AddClass(pred[i], t)
		}
	default:
		for i, t := range unpack[int32](q.Truth.Data) {
			c.AddLogits(logits[i*q.Classes:(i+1)*q.Classes], t)
		}
	}
	return map[string]any{
		"micro": c.F1Micro(), "macro": c.F1Macro(q.Multi), "accuracy": c.Accuracy(), "report": c.Report(), "rows": c.Rows(),
	}, nil
}

// rocAUC returns the mean over the columns and the value of each; null where it is not defined.
func rocAUC(q struct {
	Scores array `json:"scores"` // float32, a row of K a node
	Truth  array `json:"truth"`  // uint8
	K      int   `json:"k"`
},
) (any, error) {
	scores, truth := unpack[float32](q.Scores.Data), q.Truth.Data
	n := len(scores) / q.K
	columns := make([]*float64, q.K)
	for k := range columns {
		s, t := make([]float32, n), make([]uint8, n)
		for i := range n {
			s[i], t[i] = scores[i*q.K+k], truth[i*q.K+k]
		}
		columns[k] = defined(metric.ROCAUC(s, t))
	}
	return map[string]any{"mean": defined(metric.MeanROCAUC(scores, truth, q.K)), "columns": columns}, nil
}

func defined(x float64) *float64 { return orNull(x, !math.IsNaN(x)) }
