package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/saint-gnn/saint/internal/atomicfile"
)

const (
	metadataKey = "__metadata__"
	// maxHeader is the reference implementation's limit.
	maxHeader = 100_000_000
	// maxRank is far above what any framework has; it bounds what a header can make us keep.
	maxRank = 64
	// align is what the reference pads headers to, so that every element type is aligned.
	align = 8
)

// Write writes tensors and metadata. The order of the arguments does not matter: header
// keys are sorted by name, data by element size, widest first, then by name, which aligns
// every tensor. The same content always gives the same bytes. Names must be unique valid
// UTF-8 and differ from "__metadata__".
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	for i := range sorted {
		if err := check(&sorted[i]); err != nil {
			return err
		}
		if i > 0 && sorted[i].Name == sorted[i-1].Name {
			return fmt.Errorf("safetensors: tensor %q appears twice", sorted[i].Name)
		}
	}
	order := make([]int, len(sorted))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sorted[b].DType.Size(), sorted[a].DType.Size()) })
	begin, end := make([]int64, len(sorted)), int64(0)
	for _, i := range order {
		begin[i] = end
		end += int64(len(sorted[i].Data))
	}
	header, err := header(sorted, begin, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, i := range order {
		if _, err := w.Write(sorted[i].Data); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile is Write to the file at path, which is complete or as before.
func WriteFile(path string, tensors []Tensor, metadata map[string]string) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Write(w, tensors, metadata) })
}

func check(t *Tensor) error {
	size, ok := dataSize(t.DType, t.Shape)
	switch {
	case t.Name == metadataKey || !utf8.ValidString(t.Name):
		return fmt.Errorf("safetensors: %q cannot be the name of a tensor", t.Name)
	case t.DType.Size() == 0:
		return fmt.Errorf("safetensors: tensor %q has the unknown type %q", t.Name, t.DType)
	case len(t.Shape) > maxRank:
		return fmt.Errorf("safetensors: tensor %q has %d dimensions, want at most %d", t.Name, len(t.Shape), maxRank)
	case !ok || size != int64(len(t.Data)):
		return fmt.Errorf("safetensors: tensor %q has %d bytes for shape %s of %s", t.Name, len(t.Data), shapeString(t.Shape), t.DType)
	}
	return nil
}

// header returns the length, the JSON and its padding.
func header(tensors []Tensor, begin []int64, metadata map[string]string) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 8))
	b.WriteByte('{')
	if len(metadata) > 0 {
		b.WriteString(`"` + metadataKey + `":{`)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if !utf8.ValidString(key) || !utf8.ValidString(metadata[key]) {
				return nil, fmt.Errorf("safetensors: metadata %q is not valid UTF-8", key)
			}
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, key)
			b.WriteByte(':')
			writeString(b, metadata[key])
		}
		b.WriteByte('}')
	}
	for i := range tensors {
		t := &tensors[i]
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		writeString(b, t.Name)
		fmt.Fprintf(b, `:{"dtype":"%s","shape":[`, t.DType)
		for k, n := range t.Shape {
			if k > 0 {
				b.WriteByte(',')
			}
			fmt.Fprint(b, n)
		}
		fmt.Fprintf(b, `],"data_offsets":[%d,%d]}`, begin[i], begin[i]+int64(len(t.Data)))
	}
	b.WriteByte('}')
	for b.Len()%align != 0 {
		b.WriteByte(' ')
	}
	text := b.Bytes()
	if len(text)-8 > maxHeader {
		return nil, fmt.Errorf("safetensors: the header needs %d bytes, more than %d", len(text)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(text, uint64(len(text)-8))
	return text, nil
}

// writeString writes s as JSON. Valid UTF-8 always encodes; the encoder's newline goes.
func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	e.Encode(s) //nolint:errcheck,errchkjson // strings encode, buffers grow
	b.Truncate(b.Len() - 1)
}
