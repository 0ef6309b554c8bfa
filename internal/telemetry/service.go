package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Service is what a sampling service tells at one moment: counts since its start, where nothing
// else is said.
type Service struct {
	Connections, Streams  int   // open now
	BatchBytes            int64 // held by the streams now
	Norms, NormsComputing int   // normalisations kept, and those of them still being computed
	Draining              bool
	StreamsTotal          uint64
	StreamsRefused        uint64 // by a limit
	StreamsFailed         uint64 // ended by a subgraph that could not be made
	ClientsCut            uint64 // took nothing for the idle timeout
	Subgraphs, Bytes      uint64 // sent
	NormsMade             uint64
	WaitSeconds           float64           // of all streams, for subgraphs to be made
	SendSeconds           float64           // of all streams, for clients to take them
	Errors                map[string]uint64 // calls that ended in an error, by gRPC code
}

// service is a collector that looks once for each scrape, so that its values go together.
type service struct {
	read     func() Service
	readings []reading
	errors   *prometheus.Desc
}

type reading struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*Service) float64
}

// NewService registers the metrics of a sampling service, all named saint_service_…. read is
// called for each scrape, by several at the same time.
func NewService(reg prometheus.Registerer, read func() Service) {
	gauge := func(name, help string, of func(*Service) float64) reading {
		return reading{prometheus.NewDesc("saint_service_"+name, help, nil, nil), prometheus.GaugeValue, of}
	}
	counter := func(name, help string, of func(*Service) float64) reading {
		return reading{prometheus.NewDesc("saint_service_"+name, help, nil, nil), prometheus.CounterValue, of}
	}
	reg.MustRegister(&service{
		read: read,
		readings: []reading{
			gauge("connections", "Connections that are open.", func(s *Service) float64 { return float64(s.Connections) }),
			gauge("streams", "Streams that are open.", func(s *Service) float64 { return float64(s.Streams) }),
			gauge("held_bytes", "Bytes of the subgraphs of all streams in memory.", func(s *Service) float64 { return float64(s.BatchBytes) }),
			gauge("draining", "1 when no new stream is taken, else 0.", func(s *Service) float64 { return indicator(s.Draining) }),
			gauge("normalisations", "Normalisations in memory, those that are being computed included.", func(s *Service) float64 { return float64(s.Norms) }),
			gauge("normalisations_pending", "Normalisations that are being computed or wait for that.", func(s *Service) float64 { return float64(s.NormsComputing) }),
			counter("streams_total", "Streams that were opened.", func(s *Service) float64 { return float64(s.StreamsTotal) }),
			counter("streams_refused_total", "Streams that a limit refused or ended.", func(s *Service) float64 { return float64(s.StreamsRefused) }),
			counter("streams_failed_total", "Streams that ended because a subgraph could not be made.", func(s *Service) float64 { return float64(s.StreamsFailed) }),
			counter("clients_cut_total", "Clients that were cut off because they took nothing.", func(s *Service) float64 { return float64(s.ClientsCut) }),
			counter("subgraphs_total", "Subgraphs sent.", func(s *Service) float64 { return float64(s.Subgraphs) }),
			counter("sent_bytes_total", "Bytes of the subgraphs sent, through shared memory too.", func(s *Service) float64 { return float64(s.Bytes) }),
			counter("normalisations_total", "Normalisations made, from the cache too.", func(s *Service) float64 { return float64(s.NormsMade) }),
			counter("wait_seconds_total", "Time of all streams that waited for a subgraph to be made.", func(s *Service) float64 { return s.WaitSeconds }),
			counter("send_seconds_total", "Time of all streams that waited for the client to take a subgraph.", func(s *Service) float64 { return s.SendSeconds }),
		},
		errors: prometheus.NewDesc("saint_service_errors_total", "Calls that ended in an error, by gRPC code.", []string{"code"}, nil),
	})
}

func indicator(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (c *service) Describe(out chan<- *prometheus.Desc) {
	for _, r := range c.readings {
		out <- r.desc
	}
	out <- c.errors
}

// Collect implements prometheus.Collector.
func (c *service) Collect(out chan<- prometheus.Metric) {
	s := c.read()
	for _, r := range c.readings {
		out <- prometheus.MustNewConstMetric(r.desc, r.kind, r.of(&s))
	}
	for code, n := range s.Errors {
		out <- prometheus.MustNewConstMetric(c.errors, prometheus.CounterValue, float64(n), code)
	}
}
