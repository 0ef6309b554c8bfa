package graphsage

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/internal/atomicfile"
)

// Write stores raw as the folder dir with files that begin with name; dir must be absent or
// empty and its parent must exist. The folder is complete or not there at all. Node ids are
// the numbers 0…N-1. A symmetric graph is written as an undirected one, each pair once.
// What the format cannot hold is warned about. raw is not changed.
func Write(ctx context.Context, dir, name string, raw *formats.RawDataset, r assemble.Reports) error {
	if err := raw.Validate(); err != nil {
		return err
	}
	if name == "" || name != filepath.Base(name) {
		return fmt.Errorf("write %s: %q is no name for files", dir, name)
	}
	r.WarnTrain(raw)
	return atomicfile.WriteDir(dir, func(tmp string) error {
		prefix := filepath.Join(tmp, name)
		w := writer{ctx: ctx, raw: raw, reports: &r}
		for _, f := range []struct {
			suffix string
			fill   func(*bufio.Writer) error
		}{{graphSuffix, w.graph}, {idSuffix, w.idMap}, {classSuffix, w.classMap}} {
			err := atomicfile.Write(prefix+f.suffix, func(out io.Writer) error {
				b := bufio.NewWriterSize(out, 1<<20)
				if err := f.fill(b); err != nil {
					return err
				}
				return b.Flush()
			})
			if err != nil {
				return err
			}
		}
		return npy.WriteFile(prefix+featsSuffix, []int{raw.Full.NumNodes(), raw.Dim}, raw.Features)
	})
}

// writer fills the files of one data set.
type writer struct {
	ctx     context.Context
	raw     *formats.RawDataset
	reports *assemble.Reports
	text    []byte
}

// graph writes the node-link form.
func (w *writer) graph(out *bufio.Writer) error {
	directed := !undirected(w.raw)
	fmt.Fprintf(out, "{\"directed\": %t, \"multigraph\": false, \"graph\": {}, \"nodes\": [", directed) //nolint:errcheck // the final Flush reports it
	if err := w.nodes(out); err != nil {
		return err
	}
	out.WriteString("], \"links\": [") //nolint:errcheck // the final Flush reports it
	if err := w.links(out, directed); err != nil {
		return err
	}
	_, err := out.WriteString("]}\n")
	return err
}

func (w *writer) nodes(out *bufio.Writer) error {
	roles := assemble.Roles{Train: w.raw.TrainNodes, Val: w.raw.ValNodes, Test: w.raw.TestNodes}
	none := 0
	for v, role := range roles.Of(w.raw.Full.NumNodes()) {
		w.begin(v)
		w.text = append(w.text, `{"id": `...)
		w.text = strconv.AppendInt(w.text, int64(v), 10)
		if role == assemble.NoRole {
			none++
		} else {
			w.text = fmt.Appendf(w.text, `, "val": %t, "test": %t`, role == assemble.Val, role == assemble.Test)
		}
		w.text = append(w.text, '}')
		if _, err := out.Write(w.text); err != nil {
			return err
		}
	}
	if none > 0 {
		w.reports.Warnf("%d nodes have no role and are written without the flags val and test; GraphSAGE removes such nodes", none)
	}
	return w.ctx.Err()
}

// begin empties the text and puts a comma before every element but the first.
func (w *writer) begin(i int) {
	w.text = w.text[:0]
	if i > 0 {
		w.text = append(w.text, ", "...)
	}
}

// links writes the edges of row v as links from v; train_removed marks those between
// training nodes that the training graph lacks.
func (w *writer) links(out *bufio.Writer, directed bool) error {
	full, train := w.raw.Full, w.raw.Train
	isTrain := make([]bool, full.NumNodes())
	for _, v := range w.raw.TrainNodes {
		isTrain[v] = true
	}
	count := 0
	for v := range full.NumNodes() {
		if v%assemble.StepEvery == 0 {
			if err := w.reports.Step(w.ctx, "nodes", int64(v), int64(full.NumNodes())); err != nil {
				return err
			}
		}
		for e := full.Indptr[v]; e < full.Indptr[v+1]; e++ {
			u := full.Indices[e]
			at := train.Find(int32(v), u)
			if !directed && int(u) < v {
				continue
			}
			w.begin(count)
			count++
			w.text = append(w.text, `{"source": `...)
			w.text = strconv.AppendInt(w.text, int64(v), 10)
			w.text = append(w.text, `, "target": `...)
			w.text = strconv.AppendInt(w.text, int64(u), 10)
			if full.Weights != nil {
				w.text = append(w.text, `, "weight": `...)
				w.text = strconv.AppendFloat(w.text, float64(full.Weights[e]), 'g', -1, 32)
			}
			if at < 0 && isTrain[v] && isTrain[u] {
				w.text = append(w.text, `, "train_removed": true`...)
			}
			w.text = append(w.text, '}')
			if _, err := out.Write(w.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// undirected reports whether one link can stand for both directions of every edge, with the
// same weight and the same place in the training graph.
func undirected(raw *formats.RawDataset) bool {
	if !raw.Full.Symmetric() || !raw.Train.Symmetric() {
		return false
	}
	g := raw.Full
	if g.Weights == nil {
		return true
	}
	for v := range g.NumNodes() {
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			if g.Weights[e] != g.Weights[g.Find(g.Indices[e], int32(v))] {
				return false
			}
		}
	}
	return true
}

// idMap writes the identity.
func (w *writer) idMap(out *bufio.Writer) error {
	return w.object(out, func(entry func(v int)) error {
		for v := range w.raw.Full.NumNodes() {
			entry(v)
			w.text = strconv.AppendInt(w.text, int64(v), 10)
			if _, err := out.Write(w.text); err != nil {
				return err
			}
		}
		return nil
	})
}

// classMap writes the labels; nodes without one are left out.
func (w *writer) classMap(out *bufio.Writer) error {
	l := &w.raw.Labels
	none := 0
	err := w.object(out, func(entry func(v int)) error {
		for v := range w.raw.Full.NumNodes() {
			if !l.IsMulti() && l.Class[v] < 0 {
				none++
				continue
			}
			entry(v)
			if l.IsMulti() {
				for i, bit := range l.Row(int32(v)) {
					w.text = append(w.text, "[,"[min(i, 1)], '0'+bit)
				}
				w.text = append(w.text, ']')
			} else {
				w.text = strconv.AppendInt(w.text, int64(l.Class[v])+l.Offset, 10)
			}
			if _, err := out.Write(w.text); err != nil {
				return err
			}
		}
		return nil
	})
	if none > 0 {
		w.reports.Warnf("%d nodes have no label and are left out of the class map", none)
	}
	return err
}

// object writes an object whose keys are node ids.
func (w *writer) object(out *bufio.Writer, fill func(entry func(v int)) error) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	count := 0
	out.WriteByte('{') //nolint:errcheck // the final Flush reports it
	err := fill(func(v int) {
		w.begin(count)
		count++
		w.text = append(strconv.AppendInt(append(w.text, '"'), int64(v), 10), `": `...)
	})
	if err != nil {
		return err
	}
	_, err = out.WriteString("}\n")
	return err
}
