package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/loader"
)

// Schemes of a source: plain text and TLS.
const (
	SchemePlain = "grpc://"
	SchemeTLS   = "grpcs://"
)

// maxHosts bounds the list of a source.
const maxHosts = 256

// ParseSource reads grpc://host:port[,host2:port…] or grpcs://…. A host without a port has
// that of the first one.
func ParseSource(source string) (hosts []string, secure bool, err error) {
	list, plain := strings.CutPrefix(source, SchemePlain)
	if !plain {
		if list, secure = strings.CutPrefix(source, SchemeTLS); !secure {
			return nil, false, fmt.Errorf("%q does not begin with %s or %s", source, SchemePlain, SchemeTLS)
		}
	}
	port := ""
	for host := range strings.SplitSeq(list, ",") {
		h, p, err := net.SplitHostPort(host)
		if err != nil && port != "" {
			h, p, err = net.SplitHostPort(net.JoinHostPort(strings.Trim(host, "[]"), port))
		}
		n, numErr := strconv.ParseUint(p, 10, 16)
		if err != nil || numErr != nil || n == 0 || h == "" || strings.ContainsAny(h, "/?#@ ") {
			return nil, false, fmt.Errorf("%q in %q is not host:port", host, source)
		}
		if port == "" {
			port = p
		}
		address := net.JoinHostPort(h, p)
		if slices.Contains(hosts, address) {
			return nil, false, fmt.Errorf("%q names %s twice", source, address)
		}
		hosts = append(hosts, address)
	}
	if len(hosts) > maxHosts {
		return nil, false, fmt.Errorf("%d hosts, want at most %d", len(hosts), maxHosts)
	}
	return hosts, secure, nil
}

// Config says what a client reads and from where.
type Config struct {
	// Hosts are host:port. The batches are spread over them by index; when one is lost the
	// others take its part.
	Hosts []string
	TLS   *tls.Config // nil: plain text
	Token string      // bearer token; "": none

	// Meta is what the stream must say of itself: data set, seed and phase of the ticket,
	// the sampler, the sizes that the consumer relies on, and the columns. Where its Norm is
	// empty, any normalisation is taken.
	Meta          arrowrec.Meta
	From, To      uint64 // as in loader.Config
	Shard, Shards uint64 // likewise
	// Symmetric says that the training graph is symmetric; see loader.Config.
	Symmetric bool

	// Prefetch is how many batches wait in front of the consumer for each host; memory is
	// bounded by Prefetch+4 of them.
	Prefetch int
	// SharedFolder is where a host on this machine may leave batches for us to map, normally
	// SharedFolder; "": all batches come over the network.
	SharedFolder string
	// Patience is how long no server may answer before Next gives up; 0: 2 minutes.
	Patience time.Duration
	Log      *slog.Logger // nil: nowhere
}

func (c *Config) complete() error {
	switch {
	case len(c.Hosts) == 0 || len(c.Hosts) > maxHosts:
		return fmt.Errorf("%d hosts, want 1 to %d", len(c.Hosts), maxHosts)
	case c.Prefetch < 0:
		return fmt.Errorf("prefetch %d, want 0 or more", c.Prefetch)
	case c.To != 0 && c.From > c.To:
		return fmt.Errorf("first batch %d lies after the end %d", c.From, c.To)
	case c.Shards == 0 && c.Shard != 0 || c.Shards != 0 && c.Shard >= c.Shards:
		return fmt.Errorf("shard %d of %d, want 0 to shards-1", c.Shard, c.Shards)
	case c.Shards > maxShards/uint64(len(c.Hosts)): // lanes step by the product
		return fmt.Errorf("%d shards over %d hosts, want a product of at most %d", c.Shards, len(c.Hosts), maxShards)
	case len(c.Meta.Dataset) > maxName:
		return fmt.Errorf("the data set's name has %d bytes, want at most %d", len(c.Meta.Dataset), maxName)
	}
	if err := c.Meta.Validate(); err != nil {
		return err
	}
	c.Shards = max(1, c.Shards)
	c.Patience = orDefault(c.Patience, 2*time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Client is the remote Source. See loader.Source for what its methods promise.
type Client struct {
	cfg   Config
	conns []*grpc.ClientConn
	lanes []*lane
	// Whether a host may share memory; it is found out by trying.
	shares []atomic.Bool
	turn   int // lane of the next batch; only Next moves it

	ctx    context.Context // ends with Open's context or with Close
	cancel context.CancelCauseFunc
	run    conc.WaitGroup
	close  sync.Once

	wait, reconnects atomic.Int64
}

var _ loader.Source = (*Client)(nil)

// Open starts to read. It does not wait for a server: errors come from Next, in the place of
// the first batch that is missing. Call Close in every case.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("open remote source: %w", err)
	}
	c := &Client{cfg: cfg}
	for _, host := range cfg.Hosts {
		conn, err := dial(&cfg, host)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open remote source: %w", err), c.closeConns())
		}
		c.conns = append(c.conns, conn)
	}
	c.shares = make([]atomic.Bool, len(cfg.Hosts))
	for i, host := range cfg.Hosts {
		c.shares[i].Store(cfg.SharedFolder != "" && here(host))
	}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	for k := range cfg.Hosts {
		c.lanes = append(c.lanes, newLane(c, k))
	}
	for _, l := range c.lanes {
		c.run.Go(l.read)
	}
	return c, nil
}

// here reports whether a host is this machine.
func here(host string) bool {
	name, _, err := net.SplitHostPort(host)
	ip := net.ParseIP(name)
	return err == nil && (name == "localhost" || ip != nil && ip.IsLoopback())
}

func dial(cfg *Config, host string) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if cfg.TLS != nil {
		creds = credentials.NewTLS(cfg.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds), grpc.WithDisableServiceConfig(), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newCodec()), grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithReadBufferSize(socketBuffer), grpc.WithWriteBufferSize(32 << 10),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstDelay, Multiplier: 2, Jitter: 0.2, MaxDelay: maxDelay / 2},
			MinConnectTimeout: connectTime,
		}),
	}
	if cfg.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(tokenCredentials{cfg.Token, cfg.TLS != nil}))
	}
	return grpc.NewClient("passthrough:///"+host, options...)
}

// Next implements loader.Source.
func (c *Client) Next(ctx context.Context) (*loader.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.ctx.Err() != nil {
		return nil, c.ended()
	}
	l := c.lanes[c.turn]
	select {
	case b, ok := <-l.out:
		return c.received(l, b, ok)
	default:
	}
	begin := time.Now()
	defer func() { c.wait.Add(int64(time.Since(begin))) }()
	select {
	case b, ok := <-l.out:
		return c.received(l, b, ok)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.ctx.Done():
		return nil, c.ended()
	}
}

func (c *Client) received(l *lane, b *loader.Batch, ok bool) (*loader.Batch, error) {
	switch {
	case ok:
		c.turn = (c.turn + 1) % len(c.lanes)
		return b, nil
	case c.ctx.Err() != nil:
		return nil, c.ended()
	case l.failure != nil:
		return nil, l.failure
	default:
		return nil, io.EOF
	}
}

// ended says why c.ctx is done.
func (c *Client) ended() error {
	if errors.Is(context.Cause(c.ctx), loader.ErrClosed) {
		return loader.ErrClosed
	}
	return c.ctx.Err()
}

// Close implements loader.Source. It always returns nil.
func (c *Client) Close() error {
	c.cancel(loader.ErrClosed)
	c.run.Wait()
	c.close.Do(func() { _ = c.closeConns() }) // nothing is left that could be lost
	return nil
}

func (c *Client) closeConns() error {
	var err error
	for _, conn := range c.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// ClientStats counts what a client has done so far.
type ClientStats struct {
	Wait       time.Duration // spent by Next waiting for a batch
	Reconnects int64         // streams that had to be opened again
}

// Stats may be called at any time from any goroutine.
func (c *Client) Stats() ClientStats {
	return ClientStats{Wait: time.Duration(c.wait.Load()), Reconnects: c.reconnects.Load()}
}

// verify compares what a stream says of itself with what the consumer relies on.
func (c *Config) verify(host string, got arrowrec.Meta) error {
	want := c.Meta
	source := SchemePlain + host
	if c.TLS != nil {
		source = SchemeTLS + host
	}
	if want.Norm == "" {
		want.Norm = got.Norm
	}
	switch {
	case got == want:
		return nil
	case got.Data != want.Data:
		return formats.BadInput(source, "its data set %q is not the one here: fingerprint %.16s, want %.16s; serve the same files with the same --edge_weight",
			got.Dataset, got.Data, want.Data)
	case got.Sampler != want.Sampler:
		return formats.BadInput(source, "it samples by %s, want %s; serve with the same configuration", got.Sampler, want.Sampler)
	case got.Norm != want.Norm:
		return formats.BadInput(source, "its normalisation has key %.16s, want %.16s; serve with the same configuration", got.Norm, want.Norm)
	default:
		return formats.BadInput(source, "its batches are %+v, want %+v", got, want)
	}
}

// first returns the first index of the config and whether there is one.
func (c *Config) first() (uint64, bool) {
	i := c.From + (c.Shard+c.Shards-c.From%c.Shards)%c.Shards
	return i, i >= c.From && (c.To == 0 || i < c.To)
}

// after returns the index step places on and whether there is one.
func (c *Config) after(i, step uint64) (uint64, bool) {
	return i + step, i <= math.MaxUint64-step && (c.To == 0 || i+step < c.To)
}
