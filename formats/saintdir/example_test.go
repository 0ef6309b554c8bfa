package saintdir_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/saintdir"
)

func Example() {
	tmp, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	dir := filepath.Join(tmp, "triangle")

	triangle := &formats.Graph{Indptr: []int64{0, 2, 4, 6}, Indices: []int32{1, 2, 0, 2, 0, 1}}
	train := []int32{0, 1}
	err = saintdir.Write(dir, &formats.RawDataset{
		Full: triangle, Train: formats.Induced(triangle, train),
		Features: []float32{1, 3, 9}, Dim: 1,
		Labels:     formats.Labels{NumClasses: 2, Class: []int32{0, 1, 1}},
		TrainNodes: train, TestNodes: []int32{2},
	})
	if err != nil {
		log.Fatal(err)
	}

	ds, err := saintdir.Load(dir, saintdir.Options{})
	if err != nil {
		log.Fatal(err)
	}
	x := make([]float32, 3)
	if err := ds.Features.Gather(x, []int32{0, 1, 2}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ds.Name, ds.NumNodes(), "nodes,", ds.Train.NumEdges(), "training edges, features", x)
	// Output: triangle 3 nodes, 2 training edges, features [-1 1 7]
}
