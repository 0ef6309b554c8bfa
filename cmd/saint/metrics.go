package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/telemetry"
	"github.com/saint-gnn/saint/loader/remote"
)

func metricsFlag() cli.Flag {
	return &cli.StringFlag{Name: "metrics_listen", Usage: "serve /metrics (Prometheus), /healthz and /readyz at `ADDRESS`, for example 127.0.0.1:9464"}
}

func checkMetrics(address string) error {
	if address == "" {
		return nil
	}
	if _, _, err := telemetry.Address(address); err != nil {
		return usagef("--metrics_listen: %v", err)
	}
	return nil
}

// metrics is a process's HTTP server of metrics and health. A nil one does nothing.
type metrics struct {
	env      *env
	exporter *telemetry.Exporter
	server   *telemetry.Server
}

// newMetrics starts the server, so that a long loading can be watched too; "" starts none.
func newMetrics(address string, e *env) (*metrics, error) {
	if address == "" {
		return nil, nil
	}
	addr, outside, err := telemetry.Address(address)
	if err != nil {
		return nil, err
	}
	m := &metrics{env: e, exporter: telemetry.NewExporter(version, cpufeat.Chosen().String())}
	m.exporter.NotReady("loading data")
	if m.server, err = telemetry.Listen(addr, m.exporter.Handler()); err != nil {
		return nil, fmt.Errorf("--metrics_listen: %w", err)
	}
	if outside {
		e.log.Warn("metrics are offered beyond this machine, without encryption or password", "address", m.server.Addr())
	}
	e.log.Info("metrics at http://" + m.server.Addr() + "/metrics")
	return m, nil
}

// of adds the metrics of a sampling service.
func (m *metrics) of(s *remote.Server) {
	if m == nil {
		return
	}
	telemetry.NewService(m.exporter.Registerer(), func() telemetry.Service {
		st := s.Stats()
		return telemetry.Service{
			Connections: st.Connections, Streams: st.Streams, BatchBytes: st.BatchBytes, Norms: st.Norms, NormsComputing: st.NormsPending,
			Draining: st.Status != "serving", StreamsTotal: st.StreamsTotal, StreamsRefused: st.StreamsRefused, StreamsFailed: st.StreamsFailed,
			ClientsCut: st.ClientsCut, Subgraphs: st.Batches, Bytes: st.Bytes, NormsMade: st.NormsMade,
			WaitSeconds: st.WaitSeconds, SendSeconds: st.SendSeconds, Errors: st.Errors,
		}
	})
}

func (m *metrics) ready() {
	if m != nil {
		m.exporter.Ready()
	}
}

func (m *metrics) notReady(why string) {
	if m != nil {
		m.exporter.NotReady(why)
	}
}

// close ends the server.
func (m *metrics) close() {
	if m == nil {
		return
	}
	if err := m.server.Close(); err != nil {
		m.env.log.Warn("metrics", "error", err)
	}
}
