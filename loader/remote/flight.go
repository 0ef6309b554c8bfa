package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/saint-gnn/saint/formats/arrowrec"
)

// The actions that a server knows.
const (
	ActionHealth = "health"
	ActionNorm   = "norm"
	ActionStats  = "stats"
	ActionDrain  = "drain"
	ActionShared = "shm"
)

var actions = []*flight.ActionType{
	{Type: ActionHealth, Description: `{"status": "serving" or "draining"}`},
	{Type: ActionNorm, Description: `body {"dataset", "phase", "seed"}: computes the normalisation if need be and describes it`},
	{Type: ActionStats, Description: "what the server has done and what it holds"},
	{Type: ActionDrain, Description: "refuse new streams, end the open ones after their batch, then stop"},
	{Type: ActionShared, Description: "body a ticket: streams its batches through shared memory to a client on the same machine"},
}

// maxEndpoints bounds the list that GetFlightInfo returns.
const maxEndpoints = 1024

// NormInfo is what the action norm returns.
type NormInfo struct {
	Dataset   string  `json:"dataset"`
	Data      string  `json:"data"` // fingerprint of the data set
	Phase     int     `json:"phase"`
	Seed      uint64  `json:"seed"`
	Key       string  `json:"key"`       // names the coefficients
	Subgraphs int     `json:"subgraphs"` // that were counted
	Seconds   float64 `json:"seconds"`   // that this call waited
}

// ListFlights implements Flight: one flight for each data set and phase, which is an epoch
// with seed 1. A criterion is the name of a data set.
func (s *Server) ListFlights(c *flight.Criteria, out flight.FlightService_ListFlightsServer) error {
	only := string(c.GetExpression())
	for i := range s.cfg.Datasets {
		set := &s.cfg.Datasets[i]
		if only != "" && only != set.Name {
			continue
		}
		for phase := range set.Phases {
			info, err := s.info(pathDescriptor(set.Name, phase))
			if err == nil {
				err = out.Send(info)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func pathDescriptor(name string, phase int) *flight.FlightDescriptor {
	return &flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{name, strconv.Itoa(phase)}}
}

// GetFlightInfo implements Flight: one endpoint for each shard.
func (s *Server) GetFlightInfo(_ context.Context, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	return s.info(d)
}

// GetSchema implements Flight.
func (s *Server) GetSchema(_ context.Context, d *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	o, err := s.describe(d)
	if err != nil {
		return nil, err
	}
	return &flight.SchemaResult{Schema: flight.SerializeSchema(arrowrec.Schema(o.meta), memory.DefaultAllocator)}, nil
}

// describe finds what a descriptor names: a command is a ticket, in which To may be absent and
// Shard must be 0; a path is a data set and a phase, and means one epoch.
func (s *Server) describe(d *flight.FlightDescriptor) (*offer, error) {
	switch d.GetType() {
	case flight.DescriptorCMD:
		t, err := ParseTicket(d.GetCmd())
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "descriptor: %v", err)
		}
		return s.find(&t)
	case flight.DescriptorPATH:
		path := d.GetPath()
		if len(path) != 2 {
			return nil, status.Errorf(codes.InvalidArgument, "descriptor: path of %d parts, want the data set's name and the phase", len(path))
		}
		phase, err := strconv.ParseInt(path[1], 10, 32)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "descriptor: phase %.20q, want a whole number", path[1])
		}
		o, err := s.find(&Ticket{Dataset: path[0], Phase: int(phase), Seed: 1, Shards: 1})
		if err == nil {
			o.ticket.To = uint64(o.meta.BatchesPerEpoch)
		}
		return o, err
	default:
		return nil, status.Errorf(codes.InvalidArgument, "descriptor of type %d, want a path or a command", d.GetType())
	}
}

func (s *Server) info(d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	o, err := s.describe(d)
	if err != nil {
		return nil, err
	}
	t := *o.ticket
	if t.Shard != 0 || t.Shards > maxEndpoints {
		return nil, status.Errorf(codes.InvalidArgument, "descriptor: shard %d of %d, want 0 of at most %d", t.Shard, t.Shards, maxEndpoints)
	}
	info := &flight.FlightInfo{
		Schema:           flight.SerializeSchema(arrowrec.Schema(o.meta), memory.DefaultAllocator),
		FlightDescriptor: d, TotalRecords: -1, TotalBytes: -1,
	}
	if n := t.To - t.From; t.To > 0 && n <= math.MaxInt64 {
		info.TotalRecords = int64(n)
	}
	for t.Shard = range t.Shards {
		info.Endpoint = append(info.Endpoint, &flight.FlightEndpoint{Ticket: &flight.Ticket{Ticket: t.Encode()}})
	}
	return info, nil
}

// ListActions implements Flight.
func (s *Server) ListActions(_ *flight.Empty, out flight.FlightService_ListActionsServer) error {
	for _, a := range actions {
		if err := out.Send(a); err != nil {
			return err
		}
	}
	return nil
}

// DoAction implements Flight. Every action returns one JSON object, shm one for each batch.
func (s *Server) DoAction(a *flight.Action, out flight.FlightService_DoActionServer) error {
	var result any
	switch a.GetType() {
	case ActionNorm:
		info, err := s.normAction(out.Context(), a.GetBody())
		if err != nil {
			return err
		}
		result = info
	case ActionShared:
		return s.share(a.GetBody(), out)
	case ActionHealth:
		result = struct {
			Status string `json:"status"`
		}{s.Stats().Status}
	case ActionStats:
		result = s.Stats()
	case ActionDrain:
		s.refuse() // whoever runs the server watches Draining
		result = struct {
			Status string `json:"status"`
		}{s.Stats().Status}
	default:
		return status.Errorf(codes.Unimplemented, "no action %.40q here; there are health, norm, stats, drain and shm", a.GetType())
	}
	body, err := json.Marshal(result)
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return out.Send(&flight.Result{Body: body})
}

func (s *Server) normAction(ctx context.Context, body []byte) (*NormInfo, error) {
	t, err := parseNormRequest(body)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "action norm: %v", err)
	}
	o, err := s.find(&t)
	if err != nil {
		return nil, err
	}
	if s.isDraining() {
		return nil, errDraining
	}
	begin := time.Now()
	norm, release, err := s.norm(ctx, o)
	if err != nil {
		return nil, s.failure(ctx, err)
	}
	defer release()
	return &NormInfo{
		Dataset: o.set.Name, Data: o.set.Fingerprint, Phase: t.Phase, Seed: t.Seed, Key: o.meta.Norm,
		Subgraphs: norm.Subgraphs, Seconds: time.Since(begin).Seconds(),
	}, nil
}

// parseNormRequest reads the part of a ticket that a normalisation depends on.
func parseNormRequest(body []byte) (Ticket, error) {
	t := Ticket{Seed: 1, Shards: 1}
	err := parseObject(body, map[string]func(*json.Decoder) error{
		"dataset": text(&t.Dataset),
		"phase":   number(func(n uint64) { t.Phase = int(n) }, math.MaxInt32),
		"seed":    number(func(n uint64) { t.Seed = n }, math.MaxUint64),
	})
	if err == nil && t.Dataset == "" {
		err = fmt.Errorf("dataset is missing")
	}
	return t, err
}
