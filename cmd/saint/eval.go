package main

import (
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/trainer"
)

func newEvalCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "eval", Usage: "score a trained model on the full graph", ArgsUsage: "RUN_DIR",
		Flags: append(savedFlags(), &cli.BoolFlag{Name: "report", Usage: "also precision, recall and F1 of every class on the test nodes"}),
		Action: func(c *cli.Context) error {
			s, err := openSaved(c, e)
			if err != nil {
				return err
			}
			defer s.close()
			e.log.Info("parameters " + s.path)
			auc := s.data.Labels.IsMulti()
			scorer, err := trainer.NewScorer(s.data, s.eval, s.model.Loss, auc)
			if err != nil {
				return err
			}
			ev, err := scorer.Evaluate(c.Context, s.model)
			if err != nil {
				return adviseEvaluation(err)
			}
			return printEvaluation(e, ev, auc, c.Bool("report"))
		},
	}
}

// evalLine is the JSON of one split.
type evalLine struct {
	Type     string   `json:"type"`
	Split    string   `json:"split"`
	Nodes    int64    `json:"nodes"`
	F1Micro  float64  `json:"f1_micro"`
	F1Macro  float64  `json:"f1_macro"`
	Accuracy float64  `json:"accuracy"`
	Loss     float64  `json:"loss"`
	ROCAUC   *float64 `json:"rocauc,omitempty"`
}

// classLine is the JSON of one class of the report.
type classLine struct {
	Type      string  `json:"type"`
	Class     int64   `json:"class"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	Support   int64   `json:"support"`
}

func printEvaluation(e *env, ev *trainer.Evaluation, auc, report bool) error {
	if !e.json {
		if err := e.printf("%-6s %9s %9s %9s %9s %9s %9s\n", "split", "nodes", "F1 micro", "F1 macro", "accuracy", "loss", "ROC-AUC"); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		name string
		trainer.Scores
	}{{"train", ev.Train}, {"val", ev.Val}, {"test", ev.Test}} {
		line := evalLine{"eval", s.name, s.Nodes, s.F1Micro, s.F1Macro, s.Accuracy, s.Loss, nil}
		area := "-"
		if auc && s.HasROCAUC {
			line.ROCAUC, area = &s.ROCAUC, score(s.ROCAUC)
		}
		var err error
		if e.json {
			err = e.printJSON(line)
		} else {
			err = e.printf("%-6s %9d %9s %9s %9s %9s %9s\n", s.name, s.Nodes, score(s.F1Micro), score(s.F1Macro), score(s.Accuracy), score(s.Loss), area)
		}
		if err != nil {
			return err
		}
	}
	if !report {
		return nil
	}
	return printReport(e, ev)
}

func printReport(e *env, ev *trainer.Evaluation) error {
	if !e.json {
		if err := e.printf("\n%-6s %9s %9s %9s %9s\n", "class", "precision", "recall", "F1", "support"); err != nil {
			return err
		}
	}
	for _, c := range ev.Counts[2].Report() {
		class := int64(c.Class) + ev.LabelOffset
		var err error
		if e.json {
			err = e.printJSON(classLine{"class", class, c.Precision, c.Recall, c.F1, c.Support})
		} else {
			err = e.printf("%-6d %9s %9s %9s %9d\n", class, score(c.Precision), score(c.Recall), score(c.F1), c.Support)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
