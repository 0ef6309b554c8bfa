package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/internal/progress"
	"github.com/saint-gnn/saint/samplers"
)

// clusterLab has 4 updates in each of 3 epochs on parts of the graph, then walks.
func clusterLab(t *testing.T) *lab {
	l := newLab(t)
	l.conf = yaml(runNetwork, runParams+"; norm_loss: false; norm_aggr: false",
		"end: 3; sampler: cluster_gcn; parts: 11; clusters_per_batch: 3 | end: 4; sampler: rw; num_root: 30; depth: 2")
	return l
}

// TestClusterTraining: workers, where the parts come from and interruptions change nothing.
func TestClusterTraining(t *testing.T) {
	l := clusterLab(t)
	want, wantRes := l.first()
	cache := t.TempDir()
	for _, c := range []struct {
		name   string
		change func(o *Options)
	}{
		{"1 worker", func(o *Options) { o.Workers = 1 }},
		{"4 workers", func(o *Options) { o.Workers = 4 }},
		{"cache filled", func(o *Options) { o.CacheDir = cache }},
		{"cache used", func(o *Options) { o.CacheDir = cache }},
	} {
		dir := newDir(t)
		o := l.options(dir)
		c.change(&o)
		l.same(c.name, dir, want, l.train(o), wantRes)
	}
	for _, text := range []string{"partition of the graph", "train 1/", "train 2/", "train 4/", "train 7/"} {
		dir := newDir(t)
		ctx, cancel := context.WithCancel(context.Background())
		w := &trigger{text: text, cancel: cancel}
		o := l.options(dir)
		o.Progress = progress.New(w, progress.Lines, 1)
		_, err := Train(ctx, o)
		cancel()
		if !w.seen || !errors.Is(err, ErrInterrupted) {
			t.Errorf("ended at %q: Train = %v, want an interruption", text, err)
			continue
		}
		o = l.options(dir)
		o.Resume = true
		l.same("resumed after "+text, dir, want, l.train(o), wantRes)
	}
}

func TestClusterCacheIsUsed(t *testing.T) {
	l := clusterLab(t)
	o := l.options(nil)
	o.CacheDir = t.TempDir()
	l.train(o)
	files, err := filepath.Glob(filepath.Join(o.CacheDir, "partition", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the cache holds %v, %v, want one partition", files, err)
	}
	if err := os.WriteFile(files[0], []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	o.Log = logger(&log)
	l.train(o)
	if !strings.Contains(log.String(), "cached partition ignored") {
		t.Errorf("log of a run with a damaged cache: %s, want a warning", log.String())
	}
}

// TestClusterBadKeys: mistakes are reported where they are.
func TestClusterBadKeys(t *testing.T) {
	l := newLab(t)
	env := samplers.NewEnv(l.data.Train, l.data.TrainNodes)
	for keys, want := range map[string]string{
		"parts: 0; clusters_per_batch: 1":      "parts is 0, want at least 1",
		"parts: 100000; clusters_per_batch: 1": fmt.Sprintf("parts is 100000, want at most %d, the number of nodes of the training graph", len(env.Train)),
		"parts: 3; clusters_per_batch: 4":      "clusters_per_batch is 4, want at most parts, which is 3",
		"clusters_per_batch: 4":                "parts is missing",
		"parts: 3; cluster_per_batch: 4":       `unknown key "cluster_per_batch"`,
	} {
		c := parse(t, yaml(runNetwork, runParams, "end: 3; sampler: cluster_gcn; "+keys))
		_, err := NewSampler(&c.Phases[0], env)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", keys, err, want)
		}
	}
}
