package converttest

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
)

// source hands out the bytes of a fuzzer, then zeros.
type source []byte

func (s *source) next() int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b)
}

// FromBytes returns a small data set that Validate accepts and that depends on every byte:
// any numbers of nodes, edges, features and classes, single-label or multi-label, with and
// without weights, isolated nodes, unlabelled ones, and ones without a role. coarse makes
// features multiples of 1/4, which standardising and back keeps.
func FromBytes(data []byte, coarse bool) *formats.RawDataset {
	s := source(data)
	n, dim, classes, flags := 1+s.next()%12, 1+s.next()%4, 1+s.next()%4, s.next()
	raw := &formats.RawDataset{Name: "bytes", Dim: dim, Full: s.graph(n, flags&1 != 0)}
	for range n * dim {
		x := float32(int8(s.next())) / 4
		if !coarse {
			x = math.Float32frombits(uint32(s.next()) | uint32(s.next())<<8 | uint32(s.next())<<16 | uint32(s.next())<<24)
			if x-x != 0 { // not finite
				x = 1
			}
		}
		raw.Features = append(raw.Features, x)
	}
	raw.Labels = s.labels(n, classes, flags&2 != 0)
	for v := range int32(n) {
		role := s.next() & 3
		if v == 0 {
			role = 0
		}
		if !raw.Labels.IsMulti() && raw.Labels.Class[v] < 0 {
			role = 3
		}
		switch role {
		case 0:
			raw.TrainNodes = append(raw.TrainNodes, v)
		case 1:
			raw.ValNodes = append(raw.ValNodes, v)
		case 2:
			raw.TestNodes = append(raw.TestNodes, v)
		}
	}
	raw.Train = formats.Induced(raw.Full, raw.TrainNodes)
	if !coarse && raw.Validate() != nil { // standardised, some feature is beyond float32
		return FromBytes(data, true)
	}
	return raw
}

func (s *source) graph(n int, weighted bool) *formats.Graph {
	g := &formats.Graph{Indptr: []int64{0}}
	for range n {
		row := s.next() | s.next()<<8
		for u := range n {
			if row>>u&1 == 0 {
				continue
			}
			g.Indices = append(g.Indices, int32(u))
			if weighted {
				g.Weights = append(g.Weights, float32(s.next())/16)
			}
		}
		g.Indptr = append(g.Indptr, int64(len(g.Indices)))
	}
	return g
}

// labels are those of n nodes; node 0 has one.
func (s *source) labels(n, classes int, multi bool) formats.Labels {
	l := formats.Labels{NumClasses: classes}
	if multi {
		for range n * classes {
			l.Multi = append(l.Multi, uint8(s.next()&1))
		}
		return l
	}
	l.Offset = int64(int8(s.next()))
	for v := range n {
		c := int32(s.next()%(classes+1)) - 1
		if v == 0 {
			c = max(0, c)
		}
		l.Class = append(l.Class, c)
	}
	return l
}

// Check looks at what reading any bytes at path gave: a valid data set, or an InputError of
// one line that begins with path. It reports whether there is a data set.
func Check(t *testing.T, path string, raw *formats.RawDataset, err error) bool {
	t.Helper()
	if err == nil {
		if err := raw.Validate(); err != nil {
			t.Fatalf("what is read is not valid: %v", err)
		}
		return true
	}
	var bad *formats.InputError
	if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), path) || strings.ContainsAny(err.Error(), "\n\r") {
		t.Fatalf("error %q, want an InputError of one line about %s", err, path)
	}
	return false
}

// Stored returns a .npz archive of members as they are, without compression, so that what a
// fuzzer changes is not hidden behind a checksum. Empty members are left out.
func Stored(t testing.TB, members map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if len(members[name]) == 0 {
			continue
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(members[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Array returns the bytes of a .npy file.
func Array(t testing.TB, shape []int, data any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := npy.Write(&b, shape, data); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Put writes files into dir; empty ones are removed.
func Put(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		path := filepath.Join(dir, name)
		var err error
		if len(b) > 0 {
			err = os.WriteFile(path, b, 0o600)
		} else if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
