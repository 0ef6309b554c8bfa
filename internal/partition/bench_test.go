package partition_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/partition"
)

// BenchmarkKWay cuts the graphs of the folder SAINT_PARTITION_GRAPHS, which bench/peer_metis.py
// fills: NAME.indptr of 64-bit and NAME.indices of 32-bit integers. SAINT_PARTITION_PARTS lists
// numbers of parts. It reports cut and weight of the heaviest part over the mean.
func BenchmarkKWay(b *testing.B) {
	folder := os.Getenv("SAINT_PARTITION_GRAPHS")
	if folder == "" {
		b.Skip("SAINT_PARTITION_GRAPHS is not set: the folder of graphs")
	}
	names, err := filepath.Glob(filepath.Join(folder, "*.indptr"))
	if err != nil {
		b.Fatal(err)
	}
	seed := uint64(numbers(b, "SAINT_PARTITION_SEED", "1")[0])
	for _, name := range names {
		name = name[:len(name)-len(".indptr")]
		g := partition.Graph{Indptr: read[int64](b, name+".indptr"), Indices: read[int32](b, name+".indices")}
		for _, parts := range numbers(b, "SAINT_PARTITION_PARTS", "10,100,1000") {
			b.Run(fmt.Sprintf("%s/%d", filepath.Base(name), parts), func(b *testing.B) {
				var part []int32
				for b.Loop() {
					if part, err = partition.KWay(b.Context(), &g, partition.Options{Parts: parts, Seed: seed}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(partition.Cut(&g, part)), "cut")
				b.ReportMetric(heaviest(part, parts), "balance")
			})
		}
	}
}

// numbers reads a list from the environment.
func numbers(b *testing.B, variable, otherwise string) []int {
	b.Helper()
	var list []int
	for _, word := range strings.Split(cmp.Or(os.Getenv(variable), otherwise), ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			b.Fatalf("%s: %v", variable, err)
		}
		list = append(list, n)
	}
	return list
}

func heaviest(part []int32, parts int) float64 {
	size := make([]int, parts)
	most := 0
	for _, p := range part {
		size[p]++
		most = max(most, size[p])
	}
	return float64(most) * float64(parts) / float64(len(part))
}

func read[T int32 | int64](b *testing.B, path string) []T {
	b.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	var zero T
	values := make([]T, len(data)/binary.Size(zero))
	if _, err := binary.Decode(data, binary.LittleEndian, values); err != nil {
		b.Fatal(err)
	}
	return values
}
