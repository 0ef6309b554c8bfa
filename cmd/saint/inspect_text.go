package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/formats/inspect"
	"github.com/saint-gnn/saint/internal/progress"
)

// sheet builds an aligned report: sections of a label and cells of fixed width.
type sheet struct{ strings.Builder }

// addf appends formatted text.
func (s *sheet) addf(format string, args ...any) { fmt.Fprintf(&s.Builder, format, args...) }

func (s *sheet) section(title string, heads ...string) {
	s.addf("\n%-28s", title)
	s.cells(heads)
}

func (s *sheet) row(label string, cells ...string) {
	s.addf("  %-26s", label)
	s.cells(cells)
}

func (s *sheet) cells(cells []string) {
	for _, c := range cells {
		s.addf("%20s", c)
	}
	s.WriteByte('\n')
}

// inspectText writes a report for people.
func inspectText(r *inspect.Report) string {
	s := &sheet{}
	kind := "one class a node"
	if r.Labels.Multi {
		kind = "several labels a node"
	}
	edges := "directed"
	if r.Full.Symmetric {
		edges = "undirected"
	}
	if r.Weighted {
		edges += ", weighted"
	}
	s.addf("%s: %s nodes, %s stored edges (%s), %d features, %d classes (%s)\nfingerprint %s\n",
		r.Name, group(int64(r.Nodes)), group(r.Full.Edges), edges, r.Features.Columns, r.Labels.Classes, kind, r.Fingerprint)
	s.graphs(r)
	s.splits(r)
	s.edges(r)
	s.features(&r.Features)
	s.findings(r)
	return s.String()
}

func (s *sheet) graphs(r *inspect.Report) {
	s.section("Graph", "full", "train")
	pair := func(label string, of func(g *inspect.GraphStats) string) { s.row(label, of(&r.Full), of(&r.Train)) }
	count := func(label string, of func(g *inspect.GraphStats) int) {
		pair(label, func(g *inspect.GraphStats) string { return group(int64(of(g))) })
	}
	count("nodes", func(g *inspect.GraphStats) int { return g.Nodes })
	pair("edges (stored entries)", func(g *inspect.GraphStats) string { return group(g.Edges) })
	pair("stored both ways", func(g *inspect.GraphStats) string { return share(g.Reciprocal) })
	pair("self loops", func(g *inspect.GraphStats) string { return group(g.SelfLoops) })
	pair("isolated nodes", func(g *inspect.GraphStats) string { return ofTotal(g.Isolated, g.Nodes) })
	if !r.Full.Symmetric || !r.Train.Symmetric {
		pair("nodes with an empty row", func(g *inspect.GraphStats) string { return ofTotal(g.NoNeighbors, g.Nodes) })
	}
	count("connected components", func(g *inspect.GraphStats) int { return g.Components.Count })
	pair("largest component", func(g *inspect.GraphStats) string { return ofTotal(g.Components.Largest, g.Nodes) })
	pair("degree: mean", func(g *inspect.GraphStats) string { return fmt.Sprintf("%.2f", g.Degrees.Mean) })
	count("        min", func(g *inspect.GraphStats) int { return g.Degrees.Min })
	count("        25th percentile", func(g *inspect.GraphStats) int { return g.Degrees.P25 })
	count("        median", func(g *inspect.GraphStats) int { return g.Degrees.P50 })
	count("        75th percentile", func(g *inspect.GraphStats) int { return g.Degrees.P75 })
	count("        90th percentile", func(g *inspect.GraphStats) int { return g.Degrees.P90 })
	count("        99th percentile", func(g *inspect.GraphStats) int { return g.Degrees.P99 })
	count("        max", func(g *inspect.GraphStats) int { return g.Degrees.Max })
	if r.Homophily != nil {
		label := "edge homophily"
		if r.Labels.Multi {
			label = "edge homophily (Jaccard)"
		}
		s.row(label, fmt.Sprintf("%.4f", *r.Homophily))
	}
	if r.HomophilyByChance != nil {
		s.row("        by chance", fmt.Sprintf("%.4f", *r.HomophilyByChance))
	}
}

func (s *sheet) splits(r *inspect.Report) {
	s.section("Splits", "train", "validation", "test")
	each := func(label string, of func(p *inspect.SplitStats) string) {
		var cells []string
		for i := range r.Splits {
			cell := "-"
			if r.Splits[i].Nodes > 0 {
				cell = of(&r.Splits[i])
			}
			cells = append(cells, cell)
		}
		s.row(label, cells...)
	}
	s.row("nodes", group(int64(r.Splits[0].Nodes)), group(int64(r.Splits[1].Nodes)), group(int64(r.Splits[2].Nodes)))
	each("share of all nodes", func(p *inspect.SplitStats) string { return share(p.Share) })
	each("isolated in full graph", func(p *inspect.SplitStats) string { return group(int64(p.Isolated)) })
	each("classes present", func(p *inspect.SplitStats) string {
		return fmt.Sprintf("%d of %d", p.ClassesPresent, r.Labels.Classes)
	})
	each("most frequent class", func(p *inspect.SplitStats) string { return strconv.FormatInt(p.MajorityClass, 10) })
	each("        its share", func(p *inspect.SplitStats) string { return share(p.MajorityShare) })
	if r.Labels.Multi {
		each("labels a node", func(p *inspect.SplitStats) string { return fmt.Sprintf("%.2f", *p.LabelsPerNode) })
		each("nodes without a label", func(p *inspect.SplitStats) string { return group(int64(p.NoLabel)) })
	} else {
		each("balance (entropy, 1 = even)", func(p *inspect.SplitStats) string { return fmt.Sprintf("%.4f", *p.Balance) })
	}
	each("F1-micro of guessing", func(p *inspect.SplitStats) string { return fmt.Sprintf("%.4f", p.GuessF1) })
	s.row("nodes in no split", group(int64(r.NoRole)))
	s.row("nodes without a label", group(int64(r.Labels.Unlabelled)))
}

func (s *sheet) edges(r *inspect.Report) {
	s.section("Edges of the full graph", "edges", "share")
	for _, b := range r.EdgesBetween {
		s.row(fmt.Sprintf("%s <- %s", b.Row, b.Column), group(b.Edges), share(float64(b.Edges)/float64(r.Full.Edges)))
	}
	if len(r.EdgesBetween) == 0 {
		s.row("none")
	}
}

func (s *sheet) features(f *inspect.FeatureStats) {
	s.section("Features")
	s.row("size in memory", progress.Bytes(f.Bytes))
	s.row("min", fmt.Sprintf("%.6g", f.Min))
	s.row("mean", fmt.Sprintf("%.6g", f.Mean))
	s.row("max", fmt.Sprintf("%.6g", f.Max))
	s.row("zeros", share(f.Zeros))
	s.row("nodes with zeros only", group(int64(f.ZeroRows)))
	s.row("constant columns", group(int64(len(f.Constant)+len(f.ConstantInTrain))))
	s.row("greatest deviation", fmt.Sprintf("%.1f std", f.Greatest))
	s.row("as some training node", "", group(int64(f.TwinsInTrain[0])), group(int64(f.TwinsInTrain[1])))
}

func (s *sheet) findings(r *inspect.Report) {
	s.addf("\nFindings\n")
	for _, w := range r.LoadWarnings {
		s.addf("  while loading: %s\n", oneLine(w))
	}
	for _, f := range r.Warnings {
		s.addf("  %s: %s\n      -> %s\n", f.Severity, f.Message, f.Advice)
	}
	if len(r.Warnings)+len(r.LoadWarnings) == 0 {
		s.WriteString("  nothing stands out\n")
	}
}

// group writes a number with its thousands apart.
func group(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && digits[i-1] != '-' && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// share writes a part of a whole.
func share(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }

// ofTotal writes a count, and its share if that says more.
func ofTotal(n, total int) string {
	if n == 0 || total == 0 {
		return group(int64(n))
	}
	return group(int64(n)) + " (" + share(float64(n)/float64(total)) + ")"
}
