package saintdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/npz"
	"github.com/saint-gnn/saint/internal/atomicfile"
)

// Write stores raw as the folder dir, which must be absent or empty and whose parent must
// exist. The folder is complete or not there at all; the same data give the same bytes.
// Loading it (with EdgeWeight if the graph has weights) gives what raw.Prepare gives. A
// raw that Validate refuses is not written; raw is not changed.
func Write(dir string, raw *formats.RawDataset) error {
	if err := raw.Validate(); err != nil {
		return err
	}
	err := atomicfile.WriteDir(dir, func(tmp string) error {
		p := pool.New().WithErrors().WithFirstError()
		p.Go(func() error { return writeGraph(filepath.Join(tmp, fullFile), raw.Full) })
		p.Go(func() error { return writeGraph(filepath.Join(tmp, trainFile), raw.Train) })
		p.Go(func() error {
			return npy.WriteFile(filepath.Join(tmp, featsFile), []int{raw.Full.NumNodes(), raw.Dim}, raw.Features)
		})
		p.Go(func() error {
			return atomicfile.Write(filepath.Join(tmp, roleFile), func(w io.Writer) error { return writeRoles(w, raw) })
		})
		p.Go(func() error {
			return atomicfile.Write(filepath.Join(tmp, labelFile), func(w io.Writer) error { return writeClassMap(w, &raw.Labels) })
		})
		return p.Wait()
	})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write data set %s: the folder exists and is not empty", dir)
	}
	return err
}

// writeGraph stores g with its weights, or with true for every edge.
func writeGraph(path string, g *formats.Graph) error {
	var data any = g.Weights
	if g.Weights == nil {
		ones := make([]bool, len(g.Indices))
		for i := range ones {
			ones[i] = true
		}
		data = ones
	}
	return npz.WriteCSR(path, g.NumNodes(), g.NumNodes(), g.Indptr, g.Indices, data, true)
}

// textWriter collects text and passes it on in large pieces.
type textWriter struct {
	w    io.Writer
	text []byte // appended to by the caller
	err  error
}

// pass hands the text on if there are at least n bytes of it.
func (t *textWriter) pass(n int) {
	if len(t.text) < n {
		return
	}
	if t.err == nil {
		_, t.err = t.w.Write(t.text)
	}
	t.text = t.text[:0]
}

// piece is the size of the pieces that a textWriter passes on.
const piece = 64 << 10

// writeRoles writes the role file on one line.
func writeRoles(w io.Writer, raw *formats.RawDataset) error {
	t := textWriter{w: w}
	for i, nodes := range [][]int32{raw.TrainNodes, raw.ValNodes, raw.TestNodes} {
		t.text = fmt.Appendf(t.text, "%c%q: ", "{,,"[i], roleKeys[i])
		for k, v := range nodes {
			t.text = append(t.text, "[,"[min(k, 1)])
			t.text = strconv.AppendInt(t.text, int64(v), 10)
			t.pass(piece)
		}
		if len(nodes) == 0 {
			t.text = append(t.text, '[')
		}
		t.text = append(t.text, ']')
	}
	t.text = append(t.text, "}\n"...)
	t.pass(0)
	return t.err
}

// writeClassMap writes one label a line, ordered by node; nodes without a label are left
// out.
func writeClassMap(w io.Writer, l *formats.Labels) error {
	t := textWriter{w: w}
	separator := "{\n"
	entry := func(v int) {
		t.pass(piece)
		t.text = append(t.text, separator...)
		t.text = append(strconv.AppendInt(append(t.text, '"'), int64(v), 10), `":`...)
		separator = ",\n"
	}
	for v, c := range l.Class {
		if c >= 0 {
			entry(v)
			t.text = strconv.AppendInt(t.text, int64(c)+l.Offset, 10)
		}
	}
	for v := range len(l.Multi) / l.NumClasses {
		entry(v)
		for i, bit := range l.Row(int32(v)) {
			t.text = append(t.text, "[,"[min(i, 1)], '0'+bit)
		}
		t.text = append(t.text, ']')
	}
	t.text = append(t.text, "\n}\n"...)
	t.pass(0)
	return t.err
}
