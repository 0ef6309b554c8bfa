package inspect

import (
	"fmt"
	"strings"
)

// The shares beyond which something is worth saying.
const (
	manyIsolated  = 0.05 // of training nodes without an edge to train on
	manyTwins     = 0.01 // of validation or test nodes with the features of a training node
	manyZeroRows  = 0.10 // of nodes without features
	largeMajority = 0.50 // of nodes of one class
	smallGiant    = 0.50 // of nodes in the largest component
	fewLabels     = 0.50 // of nodes without a label
	hubs          = 100  // times the 99th percentile, for the greatest degree
)

// judge fills in the findings, the most harmful kinds first.
func (r *Report) judge() {
	r.Warnings = []Finding{}
	r.judgeSplits()
	r.judgeTrainGraph()
	r.judgeFullGraph()
	r.judgeLabels()
	r.judgeFeatures()
}

func (r *Report) warn(code, message, advice string) {
	r.Warnings = append(r.Warnings, Finding{Warn, code, message, advice})
}

func (r *Report) note(code, message, advice string) {
	r.Warnings = append(r.Warnings, Finding{Note, code, message, advice})
}

func (r *Report) judgeSplits() {
	if r.Splits[1].Nodes == 0 {
		r.warn("validation_empty", "no validation nodes, so there is no best epoch to choose",
			"move some training nodes to the role va")
	}
	if r.Splits[2].Nodes == 0 {
		r.warn("test_empty", "no test nodes, so no test score can be given", "move some nodes to the role te")
	}
	for i, twins := range r.Features.TwinsInTrain {
		s := &r.Splits[i+1]
		if share := ratio(int64(twins), int64(s.Nodes)); share > manyTwins {
			r.note("twins", fmt.Sprintf("%d %s nodes (%s) have exactly the features of some training node", twins, s.Split, percent(share)),
				"with few or categorical features this is usual; otherwise look for the same item in two splits")
		}
	}
}

func (r *Report) judgeTrainGraph() {
	g := &r.Train
	share := ratio(int64(g.Isolated), int64(g.Nodes))
	switch {
	case g.Edges == 0:
		r.warn("train_no_edges", "the training graph has no edges, so training sees single nodes only",
			"check how adj_train was made: it holds the edges of adj_full with both ends in role tr")
	case share > manyIsolated:
		r.warn("train_isolated", fmt.Sprintf("%d of %d training nodes (%s) have no neighbour in the training graph; edge and walk samplers see them rarely or never, while validation and test nodes do have neighbours", g.Isolated, g.Nodes, percent(share)),
			"use the node or rw sampler, or split so that neighbours stay together")
	}
	if r.TrainNotInFull > 0 {
		r.warn("train_edges_not_in_full", fmt.Sprintf("%d edges of the training graph are not in the full graph: training aggregates over edges that evaluation never sees", r.TrainNotInFull),
			"make adj_train again from adj_full")
	}
	if share := ratio(r.FullNotInTrain, r.FullNotInTrain+g.Edges); r.FullNotInTrain > 0 {
		r.note("train_edges_missing", fmt.Sprintf("%d edges of the full graph between training nodes (%s) are not in the training graph", r.FullNotInTrain, percent(share)),
			"if that is not meant, make adj_train again: all edges of adj_full with both ends in role tr")
	}
}

func (r *Report) judgeFullGraph() {
	g := &r.Full
	if !g.Symmetric {
		r.warn("directed", fmt.Sprintf("the graph is directed: only %s of the edges are stored both ways. GraphSAINT's samplers and normalisation assume an undirected graph", percent(g.Reciprocal)),
			"convert it with --undirected, unless the direction carries meaning")
	}
	if g.Symmetric && !r.Train.Symmetric {
		r.warn("train_directed", fmt.Sprintf("the full graph is undirected, but %s of the training graph's edges lack their reverse", percent(1-r.Train.Reciprocal)),
			"make adj_train again from adj_full")
	}
	if g.SelfLoops > 0 {
		r.note("self_loops", fmt.Sprintf("%d nodes have an edge to themselves", g.SelfLoops),
			"layers of order 1 see a node's own features anyway (hop 0); remove the self loops, or keep them to count a node among its neighbours")
	}
	if g.Components.Count > 1 && g.Components.LargestShare < smallGiant {
		r.note("scattered", fmt.Sprintf("the graph falls into %d components, of which the largest has %s of the nodes", g.Components.Count, percent(g.Components.LargestShare)),
			"nothing, if the data are many small graphs; else check the node ids of the edges")
	}
	if d := r.Train.Degrees; d.P99 > 0 && d.Max > hubs*d.P99 {
		r.note("hubs", fmt.Sprintf("one training node has %d neighbours, %d times the 99th percentile", d.Max, d.Max/d.P99),
			"with the mrw sampler set deg_clip, so that such nodes do not fill the frontier")
	}
}

func (r *Report) judgeLabels() {
	l := &r.Labels
	if k := len(l.AbsentFromTrain); k > 0 {
		r.warn("classes_absent_from_train", fmt.Sprintf("%d of %d classes occur in validation or test, but never in training (%s): no model can learn them", k, l.Classes, list(l.AbsentFromTrain)),
			"split so that every class has training nodes, or drop these classes")
	}
	if k := len(l.Unused); k > 0 {
		r.note("unused_classes", fmt.Sprintf("%d of %d class numbers belong to no node (%s)", k, l.Classes, list(l.Unused)),
			"they cost a column of the classifier each and change no score; renumber the classes to save it")
	}
	for i := range r.Splits {
		s := &r.Splits[i]
		if s.Nodes > 0 && !l.Multi && l.Classes > 1 && s.MajorityShare > largeMajority {
			r.note("majority", fmt.Sprintf("%s of the %s nodes are of class %d: always guessing the training majority gives F1-micro %.4f", percent(s.MajorityShare), s.Split, s.MajorityClass, s.GuessF1),
				"judge scores against that number, and look at F1-macro")
		}
	}
	if l.Classes == 1 && !l.Multi {
		r.warn("one_class", "all labelled nodes are of one class: there is nothing to learn", "check the labels")
	}
	if share := ratio(int64(l.Unlabelled), int64(r.Nodes)); share > fewLabels {
		r.note("unlabelled", fmt.Sprintf("%d nodes (%s) have no label", l.Unlabelled, percent(share)),
			"nothing: they take part in aggregation and in no loss or score")
	}
	if r.Homophily != nil && r.HomophilyByChance != nil && *r.Homophily < *r.HomophilyByChance {
		r.note("heterophily", fmt.Sprintf("neighbours share a class less often (%s) than chance would have it (%s)", percent(*r.Homophily), percent(*r.HomophilyByChance)),
			"averaging over neighbours may hurt: compare with --baseline, and keep aggr concat and order-0 layers")
	}
}

func (r *Report) judgeFeatures() {
	f := &r.Features
	if k := len(f.Outliers); k > 0 {
		r.warn("outlier_columns", fmt.Sprintf("%d feature columns hold values more than %d standard deviations from the training mean, up to %.3g (%s)", k, outlier, f.Greatest, list(f.Outliers)),
			"take logarithms of counts and amounts, or clip")
	}
	if k := len(f.ConstantInTrain); k > 0 {
		r.warn("constant_in_train_columns", fmt.Sprintf("%d feature columns vary, but not over the training nodes (%s): they cannot be scaled, and nothing is learnt of them", k, list(f.ConstantInTrain)),
			"remove the columns, or choose training nodes that cover their values")
	}
	if k := len(f.Constant); k > 0 {
		if k == f.Columns {
			r.warn("all_constant", "all nodes have the same features, so only the graph's structure can tell them apart", "add features, for instance degrees")
		} else {
			r.note("constant_columns", fmt.Sprintf("%d of %d feature columns have one value for all nodes (%s)", k, f.Columns, list(f.Constant)),
				"remove them: they cost time and say nothing")
		}
	}
	if k := len(f.Imprecise); k > 0 {
		r.warn("imprecise_columns", fmt.Sprintf("%d feature columns vary so little around so large a mean that float32 loses their digits (%s)", k, list(f.Imprecise)),
			"subtract the mean before storing them (years and identifiers are the usual cause)")
	}
	if share := ratio(int64(f.ZeroRows), int64(r.Nodes)); share > manyZeroRows {
		r.note("zero_rows", fmt.Sprintf("%d nodes (%s) have no feature other than 0", f.ZeroRows, percent(share)),
			"check that the features were found for all nodes")
	}
}

// ratio returns a/b, 0 if there is nothing to divide by.
func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// percent writes a share for people.
func percent(share float64) string {
	switch {
	case share > 0 && share < 0.0005:
		return "under 0.05 %"
	case share < 1 && share > 0.9995:
		return "over 99.95 %"
	default:
		return fmt.Sprintf("%.1f %%", 100*share)
	}
}

// list writes the first few numbers of a list.
func list[T int | int64](numbers []T) string {
	const most = 8
	var b strings.Builder
	for i, x := range numbers {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(numbers)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, x)
	}
	return b.String()
}
