package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
)

// Transport parameters of both sides.
const (
	socketBuffer    = 1 << 20  // bytes that one system call moves
	window          = 16 << 20 // bytes that a stream may have in flight: what a slow client costs
	connWindow      = 32 << 20
	maxRequest      = 64 << 10 // a request is a ticket
	maxHeaders      = 16 << 10
	pingEvery       = 30 * time.Second
	pingTimeout     = 20 * time.Second
	handshakeTime   = 20 * time.Second
	streamsPerConn  = 128
	maxMessageBytes = math.MaxInt32
)

// Dataset is what a server offers under a name.
type Dataset struct {
	Name        string
	Fingerprint string // of formats.Dataset; clients compare it with theirs
	Env         samplers.Env
	Labels      *formats.Labels      // nil: streams carry none
	Features    formats.FeatureStore // nil: there are none to ask for
	Phases      []Phase
}

// Phase is a phase of the configuration that a server samples by.
type Phase struct {
	Sampler samplers.Sampler
	Params  string // JSON of the sampler's name and parameters
	// NormKey names the coefficients of a seed: equal keys, equal coefficients.
	NormKey func(seed uint64) string
	// Norm computes them; it is called once for a seed as long as they are kept.
	Norm func(ctx context.Context, seed uint64) (*samplers.Norm, error)
}

// ServerConfig says what to serve and how much of it. Zero limits have defaults.
type ServerConfig struct {
	Datasets []Dataset
	// Workers and Prefetch are those of each stream's pipeline; see loader.Config.
	Workers, Prefetch int

	MaxStreams     int           // streams at the same time; 0: 64
	MaxConnections int           // 0: 256
	MaxNorms       int           // normalisations kept in memory; 0: 16
	MaxMemory      int64         // bytes that the batches of all streams may hold; 0: no limit
	IdleTimeout    time.Duration // a client that takes nothing for so long is cut off; 0: 10 minutes
	DrainTimeout   time.Duration // what Drain waits for streams to end; 0: 10 seconds

	// SharedFolder is where batches for clients on the same machine may lie, normally
	// SharedFolder; "": they go over the network like all others. Linux only.
	SharedFolder string

	Token string      // every call must carry it; "": none needed
	TLS   *tls.Config // nil: plain text
	Alloc memory.Allocator
	Log   *slog.Logger // nil: nowhere
}

func (c *ServerConfig) complete() error {
	seen := map[string]bool{}
	for i := range c.Datasets {
		d := &c.Datasets[i]
		switch {
		case d.Name == "" || len(d.Name) > maxName:
			return fmt.Errorf("name %q of a data set, want 1 to %d bytes", d.Name, maxName)
		case seen[d.Name]:
			return fmt.Errorf("two data sets have the name %q", d.Name)
		case len(d.Phases) == 0:
			return fmt.Errorf("data set %q has no phases", d.Name)
		}
		seen[d.Name] = true
	}
	if len(c.Datasets) == 0 {
		return errors.New("no data set to serve")
	}
	if c.Token != "" {
		if err := CheckToken(c.Token); err != nil {
			return err
		}
	}
	c.MaxStreams = orDefault(c.MaxStreams, 64)
	c.MaxConnections = orDefault(c.MaxConnections, 256)
	c.MaxNorms = orDefault(c.MaxNorms, 16)
	c.IdleTimeout = orDefault(c.IdleTimeout, 10*time.Minute)
	c.DrainTimeout = orDefault(c.DrainTimeout, 10*time.Second)
	if c.Alloc == nil {
		c.Alloc = memory.DefaultAllocator
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orDefault[T int | int64 | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Server serves batches over Arrow Flight. It is safe for concurrent use.
type Server struct {
	flight.BaseFlightServer
	cfg     ServerConfig
	grpc    *grpc.Server
	norms   *norms
	memory  budget
	slots   chan struct{} // one for each stream
	started time.Time

	serving context.Context // ends when the server begins to drain
	refuse  context.CancelFunc

	mu      sync.Mutex
	conns   []*connections
	drain   sync.Once
	stopped chan struct{} // closed when the last call has ended

	total struct{ streams, batches, bytes, refused, failed, cut atomic.Uint64 }
	spent struct{ making, sending atomic.Int64 } // nanoseconds of all streams
	calls outcomes
}

// Stats counts what a server has done so far and what it holds now.
type Stats struct {
	Status         string  `json:"status"` // serving or draining
	UptimeSeconds  float64 `json:"uptime_seconds"`
	Connections    int     `json:"connections"`
	Streams        int     `json:"streams"`         // open now
	StreamsTotal   uint64  `json:"streams_total"`   // ever opened
	StreamsRefused uint64  `json:"streams_refused"` // by a limit
	StreamsFailed  uint64  `json:"streams_failed"`  // ended by a batch that could not be made
	ClientsCut     uint64  `json:"clients_cut"`     // took nothing for the idle timeout
	Batches        uint64  `json:"batches"`
	Bytes          uint64  `json:"bytes"`       // of bodies
	BatchBytes     int64   `json:"batch_bytes"` // held by pipelines now
	Norms          int     `json:"norms"`       // normalisations kept
	NormsMade      uint64  `json:"norms_made"`
	NormsPending   int     `json:"norms_pending"` // of those kept, not computed yet
	// WaitSeconds is the time of all streams that waited for batches to be made, and
	// SendSeconds that which waited for clients to take them.
	WaitSeconds float64 `json:"wait_seconds"`
	SendSeconds float64 `json:"send_seconds"`
	// Errors counts the calls that ended in an error, by gRPC code.
	Errors map[string]uint64 `json:"errors"`
}

// NewServer returns a server that is not listening yet. Call Close in every case.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("sampling service: %w", err)
	}
	s := &Server{
		cfg: cfg, norms: newNorms(cfg.MaxNorms), slots: make(chan struct{}, cfg.MaxStreams), started: time.Now(),
		stopped: make(chan struct{}),
	}
	s.serving, s.refuse = context.WithCancel(context.Background())
	if cfg.SharedFolder != "" {
		sweep(cfg.SharedFolder)
	}
	s.memory = budget{Allocator: cfg.Alloc, limit: cfg.MaxMemory}
	g, w := newGate(cfg.Token), watcher{&s.calls, cfg.Log}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()), grpc.ChainUnaryInterceptor(w.unary, g.unary), grpc.ChainStreamInterceptor(w.stream, g.stream),
		grpc.MaxRecvMsgSize(maxRequest), grpc.MaxSendMsgSize(maxMessageBytes), grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(streamsPerConn), grpc.ConnectionTimeout(handshakeTime),
		grpc.WriteBufferSize(socketBuffer), grpc.ReadBufferSize(32 << 10),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout, MaxConnectionIdle: cfg.IdleTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 3, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.grpc = grpc.NewServer(options...)
	flight.RegisterFlightServiceServer(s.grpc, s)
	return s, nil
}

// Serve answers calls on l until Drain or Close, and then returns nil. It may be called for
// several listeners.
func (s *Server) Serve(l net.Listener) error {
	c := &connections{Listener: l, most: s.cfg.MaxConnections, open: map[string]*connection{}}
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	err := s.grpc.Serve(c)
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Drain refuses new streams, ends those that are open after the batch they are at, so that
// their clients go on elsewhere, and closes the server when all calls have ended, but after
// DrainTimeout at the latest. Calls after the first wait for it.
func (s *Server) Drain() {
	s.drain.Do(func() {
		s.refuse()
		late := time.AfterFunc(s.cfg.DrainTimeout, s.grpc.Stop)
		defer late.Stop()
		s.grpc.GracefulStop()
		s.norms.close()
		close(s.stopped)
	})
	<-s.stopped
}

// Close cuts all connections and waits for what runs on their behalf.
func (s *Server) Close() error {
	s.refuse()
	s.grpc.Stop() // also ends a Drain that is under way
	s.drain.Do(func() {
		s.norms.close()
		close(s.stopped)
	})
	<-s.stopped
	return nil
}

// Draining is closed when the server begins to drain, also on behalf of a client.
func (s *Server) Draining() <-chan struct{} { return s.serving.Done() }

// Stats may be called at any time.
func (s *Server) Stats() Stats {
	st := Stats{
		Status: "serving", UptimeSeconds: time.Since(s.started).Seconds(), Streams: len(s.slots), BatchBytes: s.memory.held.Load(),
		StreamsTotal: s.total.streams.Load(), StreamsRefused: s.total.refused.Load(), StreamsFailed: s.total.failed.Load(),
		ClientsCut: s.total.cut.Load(), Batches: s.total.batches.Load(), Bytes: s.total.bytes.Load(),
	}
	if s.isDraining() {
		st.Status = "draining"
	}
	s.mu.Lock()
	for _, c := range s.conns {
		st.Connections += c.count()
	}
	s.mu.Unlock()
	st.Norms, st.NormsPending, st.NormsMade = s.norms.counts()
	st.WaitSeconds, st.SendSeconds = time.Duration(s.spent.making.Load()).Seconds(), time.Duration(s.spent.sending.Load()).Seconds()
	st.Errors = s.calls.errors()
	return st
}

func (s *Server) isDraining() bool { return s.serving.Err() != nil }

// cutOff closes the connection of a client that takes nothing.
func (s *Server) cutOff(remote string) {
	s.total.cut.Add(1)
	s.cfg.Log.Warn("client cut off: it took nothing for the idle timeout", "client", remote)
	s.mu.Lock()
	conns := s.conns
	s.mu.Unlock()
	for _, c := range conns {
		c.cut(remote)
	}
}
