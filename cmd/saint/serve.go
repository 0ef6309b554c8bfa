package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/fileop"
	"github.com/saint-gnn/saint/internal/memlimit"
	"github.com/saint-gnn/saint/internal/telemetry"
	"github.com/saint-gnn/saint/loader/remote"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
)

// mostCachedNorms bounds how many normalisations one server leaves in the cache: clients choose
// the seeds.
const mostCachedNorms = 64

// serveOptions are the flags of 'saint serve'.
type serveOptions struct {
	Data       []string
	Config     string
	EdgeWeight bool
	Listen     string

	Workers, Prefetch         int
	MaxStreams, MaxMemory     int // MaxMemory in MiB
	IdleTimeout, DrainTimeout time.Duration
	NoCache, NoSharing        bool

	Cert, Key, ClientCA, TokenFile string
	Insecure                       bool
	Metrics                        string // address; "": none
}

func newServeCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "serve normalised subgraphs over Arrow Flight",
		Description: "Example: saint serve --data_prefix ./data/ppi --train_config rw.yml\n" +
			"         saint train --data_prefix ./data/ppi --train_config rw.yml --source grpc://127.0.0.1:8815\n" +
			"SIGTERM and Ctrl-C drain: streams end after the batch they are at, and their clients go on elsewhere. docs/service.md tells more.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "data_prefix", Usage: "data `FOLDER`, or synth:NAME[?seed=K]; may be given several times"},
			&cli.BoolFlag{Name: "edge_weight", Usage: "use the adjacency's values as edge weights instead of 1"},
			&cli.StringFlag{Name: "train_config", Usage: "training configuration `FILE`, as for train"},
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8815", Usage: "`ADDRESS` host:port to listen at; port 0 is any free one"},
			&cli.IntFlag{Name: "num_cpu_core", Usage: "sampler goroutines `N` of each stream", DefaultText: "one a core"},
			&cli.IntFlag{Name: "prefetch", Value: 2, Usage: "subgraphs `N` made ahead for each stream"},
			&cli.IntFlag{Name: "max_streams", Value: 64, Usage: "streams `N` at the same time"},
			&cli.IntFlag{Name: "max_memory", Usage: "`MiB` that the subgraphs of all streams may hold", DefaultText: "half of the memory"},
			&cli.DurationFlag{Name: "idle_timeout", Value: 10 * time.Minute, Usage: "cut off a client that takes nothing for `DURATION`"},
			&cli.DurationFlag{Name: "drain_timeout", Value: 10 * time.Second, Usage: "end after `DURATION` of draining at the latest"},
			&cli.BoolFlag{Name: "no_cache", Usage: "neither read nor write normalisations shared between runs"},
			&cli.BoolFlag{Name: "no_shared_memory", Usage: "send subgraphs over the network also to clients on this machine"},
			&cli.StringFlag{Name: "tls_cert", Usage: "`FILE` with the server's certificate (PEM): encrypt"},
			&cli.StringFlag{Name: "tls_key", Usage: "`FILE` with its private key (PEM)"},
			&cli.StringFlag{Name: "tls_client_ca", Usage: "`FILE` with authorities (PEM): clients must show a certificate of theirs"},
			&cli.StringFlag{Name: "token_file", Usage: "`FILE` with a token that every call must carry"},
			&cli.BoolFlag{Name: "insecure", Usage: "listen beyond this machine without encryption or token"},
			metricsFlag(),
		},
		Action: func(c *cli.Context) error {
			o := serveOptions{
				Data: c.StringSlice("data_prefix"), Config: c.String("train_config"), EdgeWeight: c.Bool("edge_weight"), Listen: c.String("listen"),
				Workers: c.Int("num_cpu_core"), Prefetch: c.Int("prefetch"), MaxStreams: c.Int("max_streams"), MaxMemory: c.Int("max_memory"),
				IdleTimeout: c.Duration("idle_timeout"), DrainTimeout: c.Duration("drain_timeout"), NoCache: c.Bool("no_cache"),
				NoSharing: c.Bool("no_shared_memory"), Cert: c.String("tls_cert"), Key: c.String("tls_key"), ClientCA: c.String("tls_client_ca"), TokenFile: c.String("token_file"),
				Insecure: c.Bool("insecure"), Metrics: c.String("metrics_listen"),
			}
			if err := checkWorkers(o.Workers, c.IsSet("num_cpu_core")); err != nil {
				return err
			}
			if c.IsSet("max_memory") && o.MaxMemory < 1 {
				return usagef("--max_memory is %d, want 1 MiB or more", o.MaxMemory)
			}
			return runServe(c.Context, o, e)
		},
	}
}

// check finds every mistake that can be found before the data is loaded, and completes the
// address.
func (o *serveOptions) check() error {
	switch {
	case o.Config == "":
		return usagef("--train_config is missing: a YAML file, or a built-in one ('saint config list')")
	case o.Prefetch < 0:
		return usagef("--prefetch is %d, want 0 or more", o.Prefetch)
	case o.MaxStreams < 1:
		return usagef("--max_streams is %d, want 1 or more", o.MaxStreams)
	case o.IdleTimeout <= 0:
		return usagef("--idle_timeout is %v, want more than 0", o.IdleTimeout)
	case o.DrainTimeout <= 0:
		return usagef("--drain_timeout is %v, want more than 0", o.DrainTimeout)
	case len(o.Data) == 0:
		return checkPrefix("")
	}
	for _, prefix := range o.Data {
		if err := checkPrefix(prefix); err != nil {
			return err
		}
	}
	if err := checkMetrics(o.Metrics); err != nil {
		return err
	}
	addr, outside, err := telemetry.Address(o.Listen)
	if err != nil {
		return usagef("--listen %v", err)
	}
	o.Listen = addr
	if outside && !o.Insecure && (o.Cert == "" || o.TokenFile == "") {
		return usagef("--listen %s can be reached from other machines: give --tls_cert, --tls_key and --token_file, or --insecure to do without", addr)
	}
	return nil
}

func runServe(ctx context.Context, o serveOptions, e *env) error {
	if err := o.check(); err != nil {
		return err
	}
	config := remote.ServerConfig{
		Workers: o.Workers, Prefetch: o.Prefetch, MaxStreams: o.MaxStreams, MaxMemory: int64(o.MaxMemory) << 20,
		IdleTimeout: o.IdleTimeout, DrainTimeout: o.DrainTimeout, Log: e.log,
	}
	if !o.NoSharing {
		config.SharedFolder = remote.SharedFolder
	}
	if o.MaxMemory == 0 {
		config.MaxMemory = memlimit.Bytes() / 2
	}
	var err error
	if config.TLS, err = serverTLS(o.Cert, o.Key, o.ClientCA); err != nil {
		return err
	}
	if config.Token, err = readToken("token_file", o.TokenFile, e.log); err != nil {
		return err
	}
	m, err := newMetrics(o.Metrics, e)
	if err != nil {
		return err
	}
	defer m.close()
	if err := tryAddress(o.Listen); err != nil {
		return err
	}
	offers := offerer{options: o, env: e}
	defer offers.close()
	for _, prefix := range o.Data {
		set, err := offers.load(ctx, prefix)
		if err != nil {
			return err
		}
		config.Datasets = append(config.Datasets, *set)
	}
	s, err := remote.NewServer(config)
	if err != nil {
		return usagef("%v", err)
	}
	defer s.Close() //nolint:errcheck // it always returns nil
	m.of(s)
	return listen(ctx, e, s, m, o.Listen, config.TLS != nil)
}

// tryAddress finds out before the data is loaded whether somebody else listens there. Nobody is
// let in yet: clients go elsewhere, or try again, when a connection is refused, while an open
// one that says nothing would have them wait.
func tryAddress(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return usagef("--listen %s: %v", address, err)
	}
	return l.Close()
}

// listen serves until ctx ends or a client drains the server.
func listen(ctx context.Context, e *env, s *remote.Server, m *metrics, address string, secure bool) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return usagef("--listen %s: %v", address, err)
	}
	scheme := remote.SchemePlain
	if secure {
		scheme = remote.SchemeTLS
	}
	source := scheme + l.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	m.ready()
	e.log.Info("serving at " + source)
	if e.json {
		err = e.printJSON(serveLine{"serving", source})
	} else {
		err = e.printf("%s\n", source)
	}
	if err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	case <-s.Draining():
	}
	m.notReady("draining")
	e.log.Info("draining")
	s.Drain()
	st := s.Stats()
	e.log.Info(fmt.Sprintf("drained after %d streams, %d subgraphs, %d bytes", st.StreamsTotal, st.Batches, st.Bytes))
	return <-ended
}

// serveLine is the JSON of a server that listens.
type serveLine struct {
	Type   string `json:"type"`
	Source string `json:"source"` // for --source of train
}

// offerer turns data folders into what a server offers.
type offerer struct {
	options serveOptions
	env     *env
	open    []*formats.Dataset
	cached  atomic.Int64
}

func (s *offerer) close() {
	for _, d := range s.open {
		if d.Close != nil {
			_ = d.Close() // opened for reading
		}
	}
}

func (s *offerer) load(ctx context.Context, prefix string) (*remote.Dataset, error) {
	config, err := trainconfig.Load(s.options.Config, dataName(prefix))
	if err != nil {
		return nil, err
	}
	d, _, err := loadData(ctx, s.env, prefix, s.options.EdgeWeight)
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, d)
	for _, other := range s.open[:len(s.open)-1] {
		if other.Name == d.Name {
			return nil, usagef("--data_prefix: two data sets have the name %q; clients could not tell them apart", d.Name)
		}
	}
	env := samplers.Env{Graph: trainer.TrainingGraph(config, d), Train: d.TrainNodes}
	graph := env.Fingerprint()
	set := &remote.Dataset{Name: d.Name, Fingerprint: d.Fingerprint, Env: env, Labels: &d.Labels, Features: d.Features}
	for i := range config.Phases {
		p := &config.Phases[i]
		sampler, err := trainer.NewSampler(p, env)
		if err != nil {
			return nil, err
		}
		if err := p.Params.Unused(); err != nil {
			return nil, err
		}
		if err := trainer.PrepareSampler(ctx, sampler, s.env.progress, s.env.prepareOptions(s.options.Workers, s.options.NoCache)); err != nil {
			return nil, err
		}
		set.Phases = append(set.Phases, remote.Phase{
			Sampler: sampler, Params: p.SamplerJSON(),
			NormKey: func(seed uint64) string {
				return trainer.NormKey(config, i, graph, trainer.NormOptions(config, i, seed))
			},
			Norm: func(ctx context.Context, seed uint64) (*samplers.Norm, error) {
				o := trainer.NormOptions(config, i, seed)
				o.Workers = s.options.Workers
				return s.norm(ctx, sampler, env, trainer.NormKey(config, i, graph, o), o)
			},
		})
	}
	return set, nil
}

// norm takes a normalisation from the cache that runs share, or estimates it.
func (s *offerer) norm(ctx context.Context, sampler samplers.Sampler, env samplers.Env, key string, o samplers.EstimateOptions) (*samplers.Norm, error) {
	path, log := "", s.env.log
	if dir := s.env.cacheDir(); dir != "" && !s.options.NoCache {
		path = filepath.Join(dir, "norm", key+".safetensors")
		if norm, err := samplers.LoadNorm(path, key, env); err == nil {
			log.Info("normalisation taken from file", "path", path)
			return norm, nil
		}
	}
	begin := time.Now()
	norm, err := samplers.EstimateNorm(ctx, sampler, env, o)
	if err != nil {
		return nil, err
	}
	log.Info("normalisation estimated", "phase", o.Phase, "seed", o.Seed, "subgraphs", norm.Subgraphs, "seconds", time.Since(begin).Seconds())
	if path == "" || s.cached.Add(1) > mostCachedNorms {
		return norm, nil
	}
	err = fileop.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = norm.Save(path, key)
	}
	if err != nil {
		log.Warn("the normalisation could not be cached", "error", err)
	}
	return norm, nil
}
