package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/sourcegraph/conc/pool"
	"google.golang.org/grpc"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
)

// answerTime is how long a server may take to say what it serves.
const answerTime = 10 * time.Second

// Short calls return little: a result of theirs is bounded.
const maxResult = 4 << 20

const (
	listFlights = "/arrow.flight.protocol.FlightService/ListFlights"
	doAction    = "/arrow.flight.protocol.FlightService/DoAction"
	getSchema   = "/arrow.flight.protocol.FlightService/GetSchema"
)

// call makes one call to a host whose answers are a stream of messages.
func call[T any](ctx context.Context, cfg *Config, host, method string, request any, each func(*T) error) (err error) {
	conn, err := dial(cfg, host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method, grpc.MaxCallRecvMsgSize(maxResult))
	if err != nil {
		return explain(host, err)
	}
	if err := s.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return explain(host, err)
	}
	if err := s.CloseSend(); err != nil {
		return explain(host, err)
	}
	for {
		answer := new(T)
		if err := s.RecvMsg(answer); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return explain(host, err)
		}
		if err := each(answer); err != nil {
			return err
		}
	}
}

// Find asks the hosts, in order, for a data set with the fingerprint and the phase of
// cfg.Meta and returns the name under which the first one that answers serves it. It is for
// finding mistakes before any work is done: cfg.Meta needs no more than Data and Phase.
func Find(ctx context.Context, cfg Config) (name string, err error) {
	err = firstHost(ctx, &cfg, func(host string) (err error) {
		name, err = find(ctx, &cfg, host)
		return err
	})
	return name, err
}

// Check asks the first host that answers what it says of the stream of cfg.Meta, of which
// Dataset, Phase and Seed name the stream and Data, Sampler and Norm are compared: it finds a
// server with another configuration before any work is done.
func Check(ctx context.Context, cfg Config) error {
	return firstHost(ctx, &cfg, func(host string) error { return check(ctx, cfg, host) })
}

func check(ctx context.Context, cfg Config, host string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	t := Ticket{Dataset: cfg.Meta.Dataset, Phase: cfg.Meta.Phase, Seed: cfg.Meta.Seed, Shards: 1}
	request := &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: t.Encode()}
	return call(ctx, &cfg, host, getSchema, request, func(r *flight.SchemaResult) error {
		got, err := parseSchema(r.GetSchema(), host)
		if err != nil {
			return err
		}
		want := got
		want.Data, want.Sampler, want.Norm = cfg.Meta.Data, cfg.Meta.Sampler, cfg.Meta.Norm
		cfg.Meta = want
		return cfg.verify(host, got)
	})
}

// parseSchema reads what a schema in the form of an IPC stream says of its batches.
func parseSchema(schema []byte, host string) (arrowrec.Meta, error) {
	stream, err := arrowrec.NewRecords(bytes.NewReader(schema), host)
	if err != nil {
		return arrowrec.Meta{}, err
	}
	defer stream.Close()
	m, err := arrowrec.ParseSchema(stream.Schema())
	if err != nil {
		return m, formats.BadInput(host, "schema of a flight: %v", err)
	}
	return m, nil
}

// firstHost calls ask for the hosts in order until one answers, with whatever.
func firstHost(ctx context.Context, cfg *Config, ask func(host string) error) error {
	var first error
	for _, host := range cfg.Hosts {
		err := ask(host)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var refused *CallError
		if !errors.As(err, &refused) || !passing(refused.GRPCStatus().Err()) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = errors.New("no hosts")
	}
	return first
}

func find(ctx context.Context, cfg *Config, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var name string
	var there []string
	err := call(ctx, cfg, host, listFlights, &flight.Criteria{}, func(info *flight.FlightInfo) error {
		m, err := parseSchema(info.GetSchema(), host)
		if err != nil {
			return err
		}
		if m.Data == cfg.Meta.Data && m.Phase == cfg.Meta.Phase && name == "" {
			name = m.Dataset
		}
		there = append(there, fmt.Sprintf("%s phase %d (%.16s)", m.Dataset, m.Phase, m.Data))
		return nil
	})
	if err == nil && name == "" {
		err = formats.BadInput(host, "it serves other data than that here: %s; want fingerprint %.16s, phase %d", strings.Join(there, ", "), cfg.Meta.Data, cfg.Meta.Phase)
	}
	return name, err
}

// WaitNorm has every host make the normalisation of cfg.Meta, at the same time, and returns
// what the first of them says of it. A host that does not answer is left out: streams go
// elsewhere. It is an error if none answers.
func WaitNorm(ctx context.Context, cfg Config) (NormInfo, error) {
	infos, errs := make([]NormInfo, len(cfg.Hosts)), make([]error, len(cfg.Hosts))
	body, err := json.Marshal(struct {
		Dataset string `json:"dataset"`
		Phase   int    `json:"phase"`
		Seed    uint64 `json:"seed"`
	}{cfg.Meta.Dataset, cfg.Meta.Phase, cfg.Meta.Seed})
	if err != nil {
		return NormInfo{}, err
	}
	calls := pool.New()
	for i, host := range cfg.Hosts {
		calls.Go(func() {
			errs[i] = call(ctx, &cfg, host, doAction, &flight.Action{Type: ActionNorm, Body: body}, func(r *flight.Result) error {
				return json.Unmarshal(r.GetBody(), &infos[i])
			})
		})
	}
	calls.Wait()
	for i, err := range errs {
		if err == nil {
			return infos[i], nil
		}
	}
	return NormInfo{}, errors.Join(ctx.Err(), errs[0])
}
