// Package telemetry lets programs look at a process of saint: metrics in the text format of
// Prometheus, and whether it lives and is ready. Names follow the conventions of Prometheus: a
// unit at the end, _total for counts that only rise.
//
// A command makes one [Exporter], registers what it counts, and serves [Exporter.Handler],
// either with [Listen] or as a part of a server of its own.
package telemetry

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Exporter holds the metrics of a process and whether it is ready. Safe for concurrent use.
type Exporter struct {
	reg     *prometheus.Registry
	waiting atomic.Pointer[string] // what the process still does; nil: it is ready
}

// NewExporter returns an exporter that is not ready. It has the metrics of the Go runtime (go_…),
// those of the process where the system tells them (process_…, with
// process_resident_memory_bytes) and saint_build_info, which is 1 and carries the version of the
// program and the instruction set as labels.
func NewExporter(version, isa string) *Exporter {
	e := &Exporter{reg: prometheus.NewRegistry()}
	e.NotReady("starting")
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "saint_build_info", Help: "1; the version and the instruction set are labels.",
		ConstLabels: prometheus.Labels{"version": version, "isa": isa},
	})
	info.Set(1)
	e.reg.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

// Registerer takes further metrics. Registering a name twice is an error.
func (e *Exporter) Registerer() prometheus.Registerer { return e.reg }

// Ready makes /readyz answer 200.
func (e *Exporter) Ready() { e.waiting.Store(nil) }

// NotReady makes /readyz answer 503 with why, one line: loading, draining.
func (e *Exporter) NotReady(why string) { e.waiting.Store(&why) }

// Handler answers GET and HEAD of
//
//	/metrics   all metrics, in the text form of Prometheus or, if the client prefers it, as protobuf
//	/healthz   200 as long as the process answers at all
//	/readyz    200, or 503 with what is still missing
//
// and nothing else. A scrape holds no lock that training or serving waits for.
func (e *Exporter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.reg, promhttp.HandlerOpts{MaxRequestsInFlight: mostScrapes}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if why := e.waiting.Load(); why != nil {
			answer(w, http.StatusServiceUnavailable, *why)
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	return mux
}

// mostScrapes is how many requests for metrics are answered at once; others get a 503.
const mostScrapes = 4

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // a client that has gone misses nothing
}
