package main

import (
	"fmt"

	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/safetensors"
)

// tensor is a tensor in requests and answers; its type is the format's name.
type tensor struct {
	array
	// Values is what each accessor that takes the type returns.
	Values map[string]any `json:"values,omitempty"`
}

type tensors struct {
	Path     string            `json:"path,omitempty"`
	Metadata map[string]string `json:"metadata"`
	Tensors  []tensor          `json:"tensors"`
}

func tensorsRead(q fileArgs) (any, error) {
	f, err := safetensors.Open(q.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing is written
	result := tensors{Metadata: f.Metadata(), Tensors: []tensor{}}
	for _, name := range f.Names() {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		w := tensor{array{name, string(t.DType), append([]int{}, t.Shape...), append([]byte{}, t.Data...)}, map[string]any{}}
		for as, read := range accessors {
			if v, err := read(&t); err == nil {
				w.Values[as] = v
			}
		}
		result.Tensors = append(result.Tensors, w)
	}
	return result, nil
}

var accessors = map[string]func(t *safetensors.Tensor) (any, error){
	"float32": func(t *safetensors.Tensor) (any, error) {
		v, err := t.Float32s()
		return packs("float32", t.Shape, v, err)
	},
	"float64": func(t *safetensors.Tensor) (any, error) {
		v, err := t.Float64s()
		return packs("float64", t.Shape, v, err)
	},
	"int32": func(t *safetensors.Tensor) (any, error) {
		v, err := t.Int32s()
		return packs("int32", t.Shape, v, err)
	},
	"int64": func(t *safetensors.Tensor) (any, error) {
		v, err := t.Int64s()
		return packs("int64", t.Shape, v, err)
	},
	"uint64": func(t *safetensors.Tensor) (any, error) {
		v, err := t.Uint64s()
		return packs("uint64", t.Shape, v, err)
	},
	"uint8": func(t *safetensors.Tensor) (any, error) {
		v, err := t.Uint8s()
		return packs("uint8", t.Shape, v, err)
	},
}

func tensorsWrite(q tensors) (any, error) {
	var all []safetensors.Tensor
	for i := range q.Tensors {
		t := &q.Tensors[i]
		made, err := t.make()
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return done{}, safetensors.WriteFile(q.Path, all, q.Metadata)
}

// make uses the constructor of the type where there is one.
func (t *tensor) make() (safetensors.Tensor, error) {
	d := safetensors.DType(t.DType)
	switch d {
	case safetensors.Bool:
		return safetensors.Bools(t.Name, t.Shape, unpack[bool](t.Data)), nil
	case safetensors.U8:
		return safetensors.Uint8(t.Name, t.Shape, t.Data), nil
	case safetensors.I32:
		return safetensors.Int32(t.Name, t.Shape, unpack[int32](t.Data)), nil
	case safetensors.I64:
		return safetensors.Int64(t.Name, t.Shape, unpack[int64](t.Data)), nil
	case safetensors.U64:
		return safetensors.Uint64(t.Name, t.Shape, unpack[uint64](t.Data)), nil
	case safetensors.F16:
		return safetensors.Half(t.Name, t.Shape, unpack[npy.Half](t.Data)), nil
	case safetensors.F32:
		return safetensors.Float32(t.Name, t.Shape, unpack[float32](t.Data)), nil
	case safetensors.F64:
		return safetensors.Float64(t.Name, t.Shape, unpack[float64](t.Data)), nil
	}
	if d.Size() == 0 {
		return safetensors.Tensor{}, fmt.Errorf("no tensor type %q", t.DType)
	}
	return safetensors.Tensor{Name: t.Name, DType: d, Shape: t.Shape, Data: t.Data}, nil
}
