package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/loader"
)

// How a client comes back after a failure.
const (
	firstDelay  = 50 * time.Millisecond
	maxDelay    = 2 * time.Second
	connectTime = 5 * time.Second
)

const doGet = "/arrow.flight.protocol.FlightService/DoGet"

// poisonByte fills released memory under -tags invariants.
const poisonByte = 0xCC

// lane reads every len(Hosts)-th batch of a client, from its own host as long as that
// answers and from the next ones otherwise.
type lane struct {
	client *Client
	host   int    // where it reads now
	next   uint64 // index it wants; while batches are made, only the goroutine that delivers moves it
	more   bool   // whether there is one

	free chan *slot         // holds all slots: putting one back never blocks
	out  chan *loader.Batch // closed by read

	failure     error // set before out is closed
	transposers chan *loader.Transposer
}

// slot is the memory of one batch. It goes round: free list, lane, consumer, free list.
type slot struct {
	in      incoming
	release func(*loader.Batch)

	transIndptr, transIndices, transPerm []int32
	transNorm                            []float32
}

func newLane(c *Client, k int) *lane {
	l := &lane{
		client: c, host: k, free: make(chan *slot, c.cfg.Prefetch+1+makers), out: make(chan *loader.Batch, c.cfg.Prefetch),
		transposers: make(chan *loader.Transposer, makers),
	}
	for range makers {
		l.transposers <- new(loader.Transposer)
	}
	l.next, l.more = c.cfg.first()
	for range k {
		if l.more {
			l.next, l.more = c.cfg.after(l.next, c.cfg.Shards)
		}
	}
	for range cap(l.free) {
		s := &slot{}
		s.release = func(b *loader.Batch) { l.recycle(s, b) }
		l.free <- s
	}
	return l
}

func (l *lane) recycle(s *slot, b *loader.Batch) {
	if invariants.Enabled {
		for i := range s.in.body {
			s.in.body[i] = poisonByte
		}
		for i := range b.TransNorm {
			b.TransNorm[i] = -1
		}
	}
	l.free <- s
}

// read keeps a stream open until the last batch, an error that no other attempt can mend, or
// the end of the client.
func (l *lane) read() {
	defer close(l.out)
	ctx, cfg := l.client.ctx, &l.client.cfg
	var since time.Time // of the first failure in a row
	failures := 0
	for l.more {
		before, host := l.next, cfg.Hosts[l.host]
		err := l.attempt(ctx)
		if ctx.Err() != nil || err == nil && !l.more {
			return
		}
		if err == nil {
			err = errors.New("the stream ended early")
		}
		if !passing(err) {
			l.failure = explain(host, err)
			return
		}
		if l.next != before || failures == 0 {
			since, failures = time.Now(), 0
		}
		failures++
		if time.Since(since) > cfg.Patience {
			l.failure = fmt.Errorf("no server has sent batch %d of phase %d for %v: %w", l.next, cfg.Meta.Phase, cfg.Patience, explain(host, err))
			return
		}
		l.client.reconnects.Add(1)
		l.host = (l.host + 1) % len(cfg.Hosts)
		cfg.Log.Warn("sampling service: trying again", "host", host, "next", cfg.Hosts[l.host], "batch", l.next, "error", plainly(status.Convert(err).Message()))
		if !pause(ctx, failures/len(cfg.Hosts)) {
			return
		}
	}
}

// pause waits longer each round over the hosts and reports whether to go on.
func pause(ctx context.Context, rounds int) bool {
	if rounds == 0 {
		return ctx.Err() == nil // another host may answer at once
	}
	delay := min(firstDelay<<min(rounds-1, 10), maxDelay)
	// Clients that lost the same server must not come back at the same moment.
	delay = delay/2 + rand.N(delay/2)
	select {
	case <-time.After(delay):
		return true
	case <-ctx.Done():
		return false
	}
}

// passing reports whether another attempt may succeed.
func passing(err error) bool {
	var input *formats.InputError
	if errors.As(err, &input) {
		return false
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.Unauthenticated, codes.PermissionDenied, codes.Aborted,
		codes.FailedPrecondition, codes.Unimplemented, codes.DataLoss, codes.OutOfRange:
		return false
	default:
		return true
	}
}

// explain puts the host in front of what it said.
func explain(host string, err error) error {
	var input *formats.InputError
	if st, ok := status.FromError(err); ok && !errors.As(err, &input) {
		return &CallError{Host: host, Code: st.Code(), Message: plainly(st.Message())}
	}
	return err
}

// hints say what to look at when a connection does not come about.
var hints = []struct{ symptom, hint string }{
	{"connection refused", "is 'saint serve' running there?"},
	{"server preface", "no service of this kind answers there, or it wants TLS: grpcs://"},
	{"does not look like a TLS handshake", "it does not encrypt: grpc://"},
	{"cannot validate certificate for", "its certificate must name the host of the source"},
	{"certificate is valid for", "its certificate must name the host of the source"},
	{"unknown authority", "its authority goes into --source_ca"},
	{"certificate required", "it wants a certificate of the client: --source_cert"},
}

// plainly takes the wrapping off a message of gRPC about connections and adds a hint.
func plainly(message string) string {
	const wrapping, dialing = "connection error: desc = ", "transport: "
	if quoted, ok := strings.CutPrefix(message, wrapping); ok {
		if text, err := strconv.Unquote(quoted); err == nil {
			message = strings.TrimPrefix(strings.TrimPrefix(text, dialing), "Error while dialing: ")
		}
	}
	for _, h := range hints {
		if strings.Contains(message, h.symptom) {
			return message + "; " + h.hint
		}
	}
	return message
}

// CallError is a refusal of a server, or a server that cannot be reached.
type CallError struct {
	Host    string
	Code    codes.Code
	Message string
}

// Error returns host and message on one line.
func (e *CallError) Error() string { return fmt.Sprintf("sampling service %s: %s", e.Host, e.Message) }

// GRPCStatus returns what the server said.
func (e *CallError) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// ticket names what is left of the lane, whose batches are step apart.
func (l *lane) ticket() (t Ticket, step uint64) {
	cfg := &l.client.cfg
	step = cfg.Shards * uint64(len(l.client.lanes))
	return Ticket{
		Dataset: cfg.Meta.Dataset, Phase: cfg.Meta.Phase, Seed: cfg.Meta.Seed, From: l.next, To: cfg.To,
		Shard: l.next % step, Shards: step, Features: cfg.Meta.NumFeatures > 0, EdgeIDs: cfg.Meta.EdgeIDs,
	}, step
}

// attempt reads a stream by the fastest way there is to the host.
func (l *lane) attempt(ctx context.Context) error {
	if l.client.shares[l.host].Load() {
		err := l.streamShared(ctx)
		if !errors.Is(err, errNoSharing) {
			return err
		}
		l.client.shares[l.host].Store(false)
	}
	return l.stream(ctx)
}

// stream opens a stream at the batch that is wanted and reads it to its end.
func (l *lane) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, step := l.ticket()
	s, err := l.client.conns[l.host].NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, doGet)
	if err != nil {
		return err
	}
	if err := s.SendMsg(&flight.Ticket{Ticket: t.Encode()}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	d, err := l.schema(s)
	if err != nil {
		return err
	}
	r := l.receive(ctx, cancel, step)
	for {
		free, err := r.slot()
		if err != nil {
			return r.end(err)
		}
		if err := s.RecvMsg(&free.in); err != nil {
			l.free <- free
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return r.end(err)
		}
		r.add(free, free.in.header, free.in.body, d, free.release)
	}
}

// schema reads the first message.
func (l *lane) schema(s grpc.ClientStream) (*arrowrec.Decoder, error) {
	cfg, host := &l.client.cfg, l.client.cfg.Hosts[l.host]
	var in incoming
	if err := s.RecvMsg(&in); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	d, err := arrowrec.NewDecoder(in.header)
	if err != nil {
		return nil, formats.BadInput(host, "%v", err)
	}
	return d, cfg.verify(host, d.Meta())
}
