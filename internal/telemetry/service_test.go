package telemetry

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// Every number of a service is found under its name, and the names follow the conventions.
func TestServiceMetrics(t *testing.T) {
	e := NewExporter("1.2.3", "avx2")
	NewService(e.Registerer(), func() Service {
		return Service{
			Connections: 1, Streams: 2, BatchBytes: 3, Norms: 4, NormsComputing: 5, Draining: true, StreamsTotal: 6, StreamsRefused: 7,
			StreamsFailed: 8, ClientsCut: 9, Subgraphs: 10, Bytes: 11, NormsMade: 12, WaitSeconds: 13.5, SendSeconds: 14.5,
			Errors: map[string]uint64{"Unauthenticated": 15, "NotFound": 16},
		}
	})
	_, text, _ := get(t, e.Handler(), "GET", "/metrics")
	families := parse(t, text)
	for _, test := range []struct {
		name, label string
		want        float64
	}{
		{"connections", "", 1},
		{"streams", "", 2},
		{"held_bytes", "", 3},
		{"normalisations", "", 4},
		{"normalisations_pending", "", 5},
		{"draining", "", 1},
		{"streams_total", "", 6},
		{"streams_refused_total", "", 7},
		{"streams_failed_total", "", 8},
		{"clients_cut_total", "", 9},
		{"subgraphs_total", "", 10},
		{"sent_bytes_total", "", 11},
		{"normalisations_total", "", 12},
		{"wait_seconds_total", "", 13.5},
		{"send_seconds_total", "", 14.5},
		{"errors_total", "Unauthenticated", 15},
		{"errors_total", "NotFound", 16},
	} {
		if got := value(t, families, "saint_service_"+test.name, test.label); got != test.want {
			t.Errorf("saint_service_%s{%s} = %v, want %v", test.name, test.label, got, test.want)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) != 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}
