package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
)

var errDraining = status.Error(codes.Unavailable, "the server is draining: go on elsewhere, or here when it is back")

// landingTime is how long a stream that was broken off waits for the transport to let go of
// what it was sending.
const landingTime = time.Second

// DoGet implements Flight: it streams the batches of a ticket.
func (s *Server) DoGet(t *flight.Ticket, out flight.FlightService_DoGetServer) error {
	ticket, err := ParseTicket(t.GetTicket())
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "ticket: %v", err)
	}
	return s.admitted(out.Context(), &ticket, func(o *offer) error {
		return s.send(out.Context(), o, out)
	})
}

// offer is a stream that can begin.
type offer struct {
	ticket *Ticket
	set    *Dataset
	phase  *Phase
	norm   *samplers.Norm
	meta   arrowrec.Meta
	client string
}

// admitted calls serve with one of the places for streams taken, and the normalisation made.
func (s *Server) admitted(ctx context.Context, t *Ticket, serve func(*offer) error) error {
	o, err := s.find(t)
	if err != nil {
		return err
	}
	if p, ok := peer.FromContext(ctx); ok {
		o.client = p.Addr.String()
	}
	if s.isDraining() {
		return errDraining
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.total.refused.Add(1)
		return status.Errorf(codes.ResourceExhausted, "%d streams are open, the server takes no more", s.cfg.MaxStreams)
	}
	var release func()
	if o.norm, release, err = s.norm(ctx, o); err != nil {
		return s.failure(ctx, err)
	}
	defer release()
	s.total.streams.Add(1)
	begin := time.Now()
	err = serve(o)
	s.cfg.Log.Debug("stream ended", "client", o.client, "dataset", t.Dataset, "phase", t.Phase, "seed", t.Seed,
		"from", t.From, "to", t.To, "shard", t.Shard, "shards", t.Shards, "seconds", time.Since(begin).Seconds(), "error", err)
	return err
}

// find looks up what a ticket names.
func (s *Server) find(t *Ticket) (*offer, error) {
	set, phase, err := s.lookup(t.Dataset, t.Phase)
	if err != nil {
		return nil, err
	}
	if t.Features && set.Features == nil {
		return nil, status.Errorf(codes.NotFound, "data set %q has no features", t.Dataset)
	}
	o := &offer{ticket: t, set: set, phase: phase}
	c := s.config(o)
	o.meta = c.Meta(set.Name, phase.Params)
	o.meta.EdgeIDs = t.EdgeIDs
	o.meta.Data, o.meta.Norm = set.Fingerprint, phase.NormKey(t.Seed)
	return o, nil
}

func (s *Server) lookup(name string, phase int) (*Dataset, *Phase, error) {
	i := slices.IndexFunc(s.cfg.Datasets, func(d Dataset) bool { return d.Name == name })
	if i < 0 {
		var names []string
		for _, d := range s.cfg.Datasets {
			names = append(names, d.Name)
		}
		return nil, nil, status.Errorf(codes.NotFound, "no data set %.60q here; there is %s", name, strings.Join(names, ", "))
	}
	set := &s.cfg.Datasets[i]
	if phase < 0 || phase >= len(set.Phases) {
		return nil, nil, status.Errorf(codes.NotFound, "data set %q has no phase %d here; there are 0 to %d", name, phase, len(set.Phases)-1)
	}
	return set, &set.Phases[phase], nil
}

func (s *Server) config(o *offer) loader.Config {
	t := o.ticket
	c := loader.Config{
		Env: o.set.Env, Sampler: o.phase.Sampler, Norm: o.norm, Labels: o.set.Labels, NoTranspose: true,
		Workers: s.cfg.Workers, Prefetch: s.cfg.Prefetch, Seed: t.Seed, Phase: t.Phase,
		From: t.From, To: t.To, Shard: t.Shard, Shards: t.Shards, Alloc: &s.memory,
	}
	if t.Features {
		c.Features = o.set.Features
	}
	return c
}

// norm waits for the normalisation of a stream, but not while draining.
func (s *Server) norm(ctx context.Context, o *offer) (*samplers.Norm, func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.serving, func() { cancel(errDraining) })()
	norm, release, err := s.norms.get(ctx, normID{o.set.Name, o.ticket.Phase, o.ticket.Seed}, func(ctx context.Context) (*samplers.Norm, error) {
		return o.phase.Norm(ctx, o.ticket.Seed)
	})
	if err != nil && errors.Is(context.Cause(ctx), errDraining) {
		err = errDraining
	}
	return norm, release, err
}

// send streams the schema and the batches of an offer.
func (s *Server) send(ctx context.Context, o *offer, out grpc.ServerStream) error {
	p, err := loader.Open(ctx, s.config(o))
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	h := newHold()
	defer func() {
		landed := h.close()
		select {
		case <-landed:
		case <-ctx.Done():
			select {
			case <-landed:
			case <-time.After(landingTime):
			}
		}
		_ = p.Close() // it only stops goroutines
		h.abandon()
	}()
	schema := arrowrec.Schema(o.meta)
	encoder := arrowrec.NewEncoder(schema)
	header, err := encoder.Schema()
	if err == nil {
		err = out.SendMsg(&outgoing{header: header})
	}
	// A client that takes nothing keeps a pipeline full of batches.
	idle := time.AfterFunc(s.cfg.IdleTimeout, func() { s.cutOff(o.client) })
	defer idle.Stop()
	for err == nil {
		idle.Stop()
		var b *loader.Batch
		if b, err = s.next(ctx, p); err != nil {
			break
		}
		idle.Reset(s.cfg.IdleTimeout)
		done := stopwatch(&s.spent.sending)
		err = s.sendBatch(out, h, encoder, b)
		done()
	}
	idle.Reset(s.cfg.IdleTimeout) // for the last batches to land
	if errors.Is(err, io.EOF) {
		return nil
	}
	return s.failure(ctx, err)
}

// next returns the next batch of a stream that is not to end.
func (s *Server) next(ctx context.Context, p *loader.Pipeline) (*loader.Batch, error) {
	if s.isDraining() {
		return nil, errDraining
	}
	defer stopwatch(&s.spent.making)()
	return p.Next(ctx)
}

// stopwatch adds the time until the function it returns is called.
func stopwatch(to *atomic.Int64) func() {
	begin := time.Now()
	return func() { to.Add(int64(time.Since(begin))) }
}

func (s *Server) sendBatch(out grpc.ServerStream, h *hold, e *arrowrec.Encoder, b *loader.Batch) error {
	c := h.load(b)
	defer c.unref()
	rec := b.Record(e.ArrowSchema())
	defer rec.Release()
	header, body, err := e.Encode(rec)
	if err != nil {
		return err
	}
	size := 0
	for _, p := range body {
		size += len(p)
	}
	if err := out.SendMsg(&outgoing{header: header, body: body, cargo: c}); err != nil {
		return err
	}
	s.total.batches.Add(1)
	s.total.bytes.Add(uint64(size))
	return nil
}

// failure gives an error its gRPC code: those of batches are final, limits and ends of the
// server are not.
func (s *Server) failure(ctx context.Context, err error) error {
	var (
		limit *LimitError
		stage *loader.StageError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limit):
		s.total.refused.Add(1)
		return status.Error(codes.ResourceExhausted, limit.Error())
	case errors.As(err, &stage):
		s.total.failed.Add(1)
		s.cfg.Log.Warn("stream failed", "error", err)
		return status.Error(codes.Aborted, err.Error())
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	}
	if st, ok := status.FromError(err); ok && st.Code() != codes.OK {
		return st.Err()
	}
	return status.Error(codes.Aborted, fmt.Sprint(err))
}
