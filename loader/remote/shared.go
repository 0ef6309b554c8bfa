package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/sourcegraph/conc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/loader"
)

// SharedFolder is where batches for clients on the same machine lie.
const SharedFolder = "/dev/shm"

const (
	ringPrefix = "saint-" // of the folder of a ring
	mostSlots  = 256
	// sharedAhead is how many more batches than over the network a stream makes ahead: where
	// those wait in the windows and buffers of the transport, here they stay in their slots.
	sharedAhead = 3
	controlled  = "control" // name of the control file
)

// errNoSharing says that a stream must go over the network.
var errNoSharing = errors.New("batches cannot be shared through memory")

// errRingFull says that there is no room for a batch. The network needs none: the client goes on
// there, as the memory of a container is often too small for subgraphs.
var errRingFull = errors.New("no room in shared memory")

// ringOffer is the first result of the action shm.
type ringOffer struct {
	Folder string `json:"folder"` // holds the files control and slot-0, slot-1, …
	Slots  int    `json:"slots"`
	Schema []byte `json:"schema"` // header of the schema message
}

// ringBatch is each result after it: a slot holds the Arrow IPC file of a batch.
type ringBatch struct {
	Slot  int    `json:"slot"`
	Bytes int64  `json:"bytes"`
	Index uint64 `json:"index"`
}

func slotName(k int) string { return fmt.Sprintf("slot-%d", k) }

// share streams the batches of a ticket through shared memory.
func (s *Server) share(body []byte, out flight.FlightService_DoActionServer) error {
	t, err := ParseTicket(body)
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "ticket: %v", err)
	}
	ctx := out.Context()
	if p, ok := peer.FromContext(ctx); !ok || s.cfg.SharedFolder == "" || !Loopback(p.Addr) {
		return status.Error(codes.FailedPrecondition, "batches are not shared through memory here")
	}
	return s.admitted(ctx, &t, func(o *offer) error {
		c := s.config(o)
		c.Prefetch += sharedAhead
		n, err := c.Slots()
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		if n > mostSlots {
			return status.Errorf(codes.FailedPrecondition, "batches are not shared through memory: a stream makes %d at a time here, want at most %d", n, mostSlots)
		}
		r, err := newRing(s.cfg.SharedFolder, n, &s.memory)
		if err != nil {
			return status.Errorf(codes.FailedPrecondition, "batches are not shared through memory: %v", err)
		}
		defer r.close()
		schema, features := arrowrec.Schema(o.meta), c.Features
		c.Features = nil // they are gathered in the ring
		c.Finish = func(k int, b *loader.Batch) error { return r.fill(k, b, schema, features) }
		p, err := loader.Open(ctx, c)
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		defer p.Close() //nolint:errcheck // it only stops goroutines; Next has reported what went wrong
		err = s.offerRing(ctx, o.client, schema, r, p, out)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, errRingFull) {
			s.cfg.Log.Warn("a stream goes over the network", "client", o.client, "error", err)
			return status.Error(codes.FailedPrecondition, err.Error())
		}
		return s.failure(ctx, err)
	})
}

// offerRing offers the ring and hands out its slots as they are filled.
func (s *Server) offerRing(ctx context.Context, client string, schema *arrow.Schema, r *ring, p *loader.Pipeline, out flight.FlightService_DoActionServer) error {
	header, err := arrowrec.NewEncoder(schema).Schema()
	if err != nil {
		return err
	}
	if err := sendJSON(out, ringOffer{Folder: r.folder, Slots: len(r.slots), Schema: header}); err != nil {
		return err
	}
	idle := time.AfterFunc(s.cfg.IdleTimeout, func() { s.cutOff(client) })
	defer idle.Stop()
	if err := r.opened(ctx); err != nil {
		return err
	}
	var reaper conc.WaitGroup
	defer reaper.Wait()
	reaping, stop := context.WithCancel(ctx)
	defer stop()
	reaper.Go(func() { r.reap(reaping) })
	for {
		done := stopwatch(&s.spent.sending)
		err := r.room(ctx, s.serving)
		done()
		idle.Stop()
		if err != nil {
			return err
		}
		b, err := s.next(ctx, p)
		if err != nil {
			return err
		}
		idle.Reset(s.cfg.IdleTimeout)
		index := b.Index
		k, n, err := r.publish(b)
		if err != nil {
			b.Release()
			return err
		}
		if err := sendJSON(out, ringBatch{Slot: k, Bytes: n, Index: index}); err != nil {
			return err
		}
		s.total.batches.Add(1)
		s.total.bytes.Add(uint64(n))
	}
}

func sendJSON(out flight.FlightService_DoActionServer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return out.Send(&flight.Result{Body: body})
}

// streamShared is stream through shared memory; errNoSharing says to go over the network.
func (l *lane) streamShared(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, step := l.ticket()
	s, err := l.client.conns[l.host].NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, doAction, grpc.MaxCallRecvMsgSize(maxResult))
	if err != nil {
		return err
	}
	if err := s.SendMsg(&flight.Action{Type: ActionShared, Body: t.Encode()}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	m, d, err := l.attach(s)
	if err != nil {
		return err
	}
	defer m.detach()
	r := l.receive(ctx, cancel, step)
	for {
		at := ringBatch{}
		if err := recvJSON(s, &at); err != nil {
			switch {
			case errors.Is(err, io.EOF):
				err = nil
			case status.Code(err) == codes.FailedPrecondition:
				err = errNoSharing
			}
			return r.end(err)
		}
		free, err := r.slot()
		if err != nil {
			return r.end(err)
		}
		if err := r.share(m, d, &at, free); err != nil {
			l.free <- free
			return r.end(err)
		}
	}
}

// share makes the next batch of a slot of the ring without copying it.
func (r *receiver) share(m *attached, d *arrowrec.Decoder, at *ringBatch, s *slot) error {
	file, err := m.take(at.Slot, at.Bytes)
	if err != nil {
		return formats.BadInput(r.host(), "batch %d in shared memory: %v", r.next, err)
	}
	_, header, body, err := arrowrec.SplitFile(file)
	if err != nil {
		m.put(at.Slot)
		return formats.BadInput(r.host(), "batch %d in shared memory: %v", r.next, err)
	}
	r.add(s, header, body, d, func(b *loader.Batch) {
		m.put(at.Slot)
		s.release(b)
	})
	return nil
}

func recvJSON(s grpc.ClientStream, into any) error {
	var r flight.Result
	if err := s.RecvMsg(&r); err != nil {
		return err
	}
	if err := json.Unmarshal(r.GetBody(), into); err != nil {
		return formats.BadInput("shared memory", "%v", err)
	}
	return nil
}

// attach opens the ring that the server offers.
func (l *lane) attach(s grpc.ClientStream) (*attached, *arrowrec.Decoder, error) {
	cfg := &l.client.cfg
	var o ringOffer
	if err := recvJSON(s, &o); err != nil {
		switch status.Code(err) {
		case codes.FailedPrecondition, codes.PermissionDenied, codes.Unimplemented:
			return nil, nil, errNoSharing
		default:
			return nil, nil, err
		}
	}
	d, err := arrowrec.NewDecoder(o.Schema)
	if err != nil {
		return nil, nil, formats.BadInput(cfg.Hosts[l.host], "%v", err)
	}
	if err := cfg.verify(cfg.Hosts[l.host], d.Meta()); err != nil {
		return nil, nil, err
	}
	// The server says where its memory lies; nothing else may be opened on its word.
	name := filepath.Base(o.Folder)
	if filepath.Join(cfg.SharedFolder, name) != o.Folder || !strings.HasPrefix(name, ringPrefix) || o.Slots < 1 || o.Slots > mostSlots {
		return nil, nil, errNoSharing
	}
	m, err := attachRing(o.Folder, o.Slots)
	if err != nil {
		cfg.Log.Debug("sampling service: shared memory cannot be opened", "error", err)
		return nil, nil, errNoSharing
	}
	return m, d, nil
}
