package samplers_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// FuzzLoadNorm reads saved coefficients of any content whose checksum is right: they are
// refused with an InputError, or come back as they were after saving them again.
func FuzzLoadNorm(f *testing.F) {
	env := samplertest.Env(samplertest.Edges(4, [2]int32{0, 1}, [2]int32{1, 2}, [2]int32{2, 0}))
	env.Train = []int32{0, 2}
	floats := func(v ...float32) []byte {
		var b []byte
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	f.Add(floats(1, 0, 0.5, 0), floats(1, 2, 0.25), "1", "k", "50", "false", "", false)
	f.Add(floats(1, 0, 0.5, 0), []byte{}, "1", "k", "0", "true", "", false)
	f.Add(floats(1, 0, 0.5, 0), floats(1, 2, 0.25), "1", "k", "-1", "1", "more", true)
	dir := f.TempDir()
	path, again := filepath.Join(dir, "n.safetensors"), filepath.Join(dir, "again.safetensors")
	f.Fuzz(func(t *testing.T, loss, aggr []byte, format, key, subgraphs, uniform, extra string, double bool) {
		width, kind := 4, safetensors.F32
		if double {
			width, kind = 8, safetensors.F64
		}
		tensors := []safetensors.Tensor{{Name: "loss", DType: kind, Shape: []int{len(loss) / width}, Data: loss[:len(loss)/width*width]}}
		sum := uint32(0)
		table := crc32.MakeTable(crc32.Castagnoli)
		if len(aggr) > 0 {
			tensors = append(tensors, safetensors.Tensor{Name: "aggr", DType: safetensors.F32, Shape: []int{len(aggr) / 4}, Data: aggr[:len(aggr)/4*4]})
			sum = crc32.Update(sum, table, aggr[:len(aggr)/4*4])
		}
		sum = crc32.Update(sum, table, tensors[0].Data)
		if extra != "" {
			tensors = append(tensors, safetensors.Tensor{Name: extra, DType: safetensors.U8, Shape: []int{0}})
		}
		os.Remove(path)
		err := safetensors.WriteFile(path, tensors, map[string]string{
			"saint.norm": format, "key": key, "subgraphs": subgraphs, "uniform_loss": uniform, "crc32c": fmt.Sprintf("%08x", sum),
		})
		if err != nil {
			return // such names cannot be written
		}
		n, err := samplers.LoadNorm(path, "k", env)
		if err != nil {
			var bad *formats.InputError
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), path) {
				t.Fatalf("error %v, want an InputError about %s", err, path)
			}
			return
		}
		checkNorm(t, again, n, env)
	})
}

// checkNorm saves and loads n and looks at its coefficients.
func checkNorm(t *testing.T, path string, n *samplers.Norm, env samplers.Env) {
	t.Helper()
	if err := n.Save(path, "k"); err != nil {
		t.Fatal(err)
	}
	m, err := samplers.LoadNorm(path, "k", env)
	if err != nil || m.Subgraphs != n.Subgraphs || m.UniformLoss != n.UniformLoss || !slices.EqualFunc(m.Loss, n.Loss, sameBits) || !slices.EqualFunc(m.Aggr, n.Aggr, sameBits) {
		t.Fatalf("saved and loaded: %+v, %v, want %+v", m, err, n)
	}
	for i, x := range slices.Concat(n.Loss, n.Aggr) {
		if !(x >= 0) || math.IsInf(float64(x), 1) {
			t.Fatalf("coefficient %d is %v, want finite ones that are not negative", i, x)
		}
	}
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
