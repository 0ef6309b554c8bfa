package telemetry

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// get asks a handler.
func get(t *testing.T, h http.Handler, method, path string) (status int, body string, head http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String(), w.Header()
}

// parse reads the text form with the parser of Prometheus.
func parse(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("the metrics do not parse: %v\n%s", err, text)
	}
	return families
}

// value returns the only value of a metric, or that with the label value.
func value(t *testing.T, families map[string]*dto.MetricFamily, name, label string) float64 {
	t.Helper()
	f := families[name]
	if f == nil {
		t.Fatalf("no metric %s", name)
	}
	for _, m := range f.GetMetric() {
		if label != "" && (len(m.GetLabel()) != 1 || m.GetLabel()[0].GetValue() != label) {
			continue
		}
		if f.GetType() == dto.MetricType_COUNTER {
			return m.GetCounter().GetValue()
		}
		return m.GetGauge().GetValue()
	}
	t.Fatalf("no metric %s{%s}", name, label)
	return 0
}

func TestMetrics(t *testing.T) {
	e := NewExporter("1.2.3", "avx2")
	train := NewTrain(e.Registerer())
	_, before, _ := get(t, e.Handler(), "GET", "/metrics")
	if v := value(t, parse(t, before), "saint_train_loss", ""); !math.IsNaN(v) {
		t.Errorf("saint_train_loss before the first step = %v, want NaN", v)
	}
	for i := range 4 {
		train.Step(Step{
			Epoch: 2, Phase: 1, Loss: 0.5, LearningRate: 0.01, Nodes: 100, Edges: 1000, PeakBytes: 1 << 20,
			Took: time.Duration(i+1) * time.Second, Waiting: time.Second / 2,
		})
	}
	train.Epoch(0.75)
	train.Validation(0.8, 0.4, 0.9)
	train.Normalisation(50, 200)
	train.Stage("sample", 2*time.Second)
	train.Stage("features", 3*time.Second)
	train.Stage("another", time.Second)
	status, text, head := get(t, e.Handler(), "GET", "/metrics")
	if status != http.StatusOK || !strings.HasPrefix(head.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("GET /metrics = %d %q, want 200 and the text form", status, head.Get("Content-Type"))
	}
	families := parse(t, text)
	tests := []struct {
		name, label string
		want        float64
	}{
		{"saint_train_epoch", "", 2},
		{"saint_train_phase", "", 1},
		{"saint_train_loss", "", 0.5},
		{"saint_train_learning_rate", "", 0.01},
		{"saint_train_f1_micro_ratio", "", 0.75},
		{"saint_validation_f1_micro_ratio", "", 0.8},
		{"saint_validation_loss", "", 0.4},
		{"saint_validation_best_f1_micro_ratio", "", 0.9},
		{"saint_train_steps_total", "", 4},
		{"saint_train_nodes_total", "", 400},
		{"saint_train_edges_total", "", 4000},
		{"saint_train_seconds_total", "", 10},
		{"saint_train_wait_seconds_total", "", 2},
		{"saint_train_wait_ratio", "", 0.2},
		{"saint_train_step_peak_bytes", "", 1 << 20},
		{"saint_normalisation_nodes", "", 50},
		{"saint_normalisation_target_nodes", "", 200},
		{"saint_sampler_subgraphs_total", "", 1},
		{"saint_sampler_stage_seconds_total", "sample", 2},
		{"saint_sampler_stage_seconds_total", "features", 3},
		{"saint_sampler_stage_seconds_total", "labels", 0},
	}
	for _, test := range tests {
		if got := value(t, families, test.name, test.label); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s{%s} = %v, want %v", test.name, test.label, got, test.want)
		}
	}
	if v := value(t, families, "saint_train_steps_per_second", ""); v <= 0 {
		t.Errorf("saint_train_steps_per_second = %v, want more than 0", v)
	}
	for _, name := range []string{"go_goroutines", "saint_build_info"} {
		if families[name] == nil {
			t.Errorf("no metric %s", name)
		}
	}
	for name, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help text", name)
		}
	}
}

// TestNames holds names, units and help texts against the conventions of Prometheus.
func TestNames(t *testing.T) {
	e := NewExporter("1.2.3", "avx2")
	NewTrain(e.Registerer())
	_, text, _ := get(t, e.Handler(), "GET", "/metrics")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "saint_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestHandler(t *testing.T) {
	e := NewExporter("1", "generic")
	h := e.Handler()
	tests := []struct {
		name, method, path string
		before             func()
		status             int
		body               string
	}{
		{"alive", "GET", "/healthz", nil, 200, "ok\n"},
		{"head", "HEAD", "/healthz", nil, 200, "ok\n"},
		{"starting", "GET", "/readyz", nil, 503, "starting\n"},
		{"ready", "GET", "/readyz", e.Ready, 200, "ok\n"},
		{"draining", "GET", "/readyz", func() { e.NotReady("draining") }, 503, "draining\n"},
		{"no page", "GET", "/", nil, 404, "404 page not found\n"},
		{"post", "POST", "/metrics", nil, 405, "Method Not Allowed\n"},
		{"dots", "GET", "/metrics/../../etc/passwd", nil, 307, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.before != nil {
				test.before()
			}
			status, body, _ := get(t, h, test.method, test.path)
			if status != test.status || test.body != "" && body != test.body {
				t.Errorf("%s %s = %d %q, want %d %q", test.method, test.path, status, body, test.status, test.body)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	tests := []struct {
		listen, want string
		outside      bool
	}{
		{"127.0.0.1:9464", "127.0.0.1:9464", false},
		{":9464", "127.0.0.1:9464", false},
		{"9464", "127.0.0.1:9464", false},
		{"localhost:0", "localhost:0", false},
		{"[::1]:1", "[::1]:1", false},
		{"127.9.9.9:1", "127.9.9.9:1", false},
		{"0.0.0.0:9464", "0.0.0.0:9464", true},
		{"[::]:9464", "[::]:9464", true},
		{"192.0.2.1:80", "192.0.2.1:80", true},
		{"node.example:80", "node.example:80", true},
	}
	for _, test := range tests {
		got, outside, err := Address(test.listen)
		if got != test.want || outside != test.outside || err != nil {
			t.Errorf("Address(%q) = %q, %v, %v, want %q, %v", test.listen, got, outside, err, test.want, test.outside)
		}
	}
	for _, listen := range []string{"", "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000", "70000", "::1:80", "a:b:c", "http://127.0.0.1:80", "-1", ":-1"} {
		if got, _, err := Address(listen); err == nil {
			t.Errorf("Address(%q) = %q, want an error", listen, got)
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", listen)) {
			t.Errorf("Address(%q) = %v, want the text in it", listen, err)
		}
	}
}

func TestListen(t *testing.T) {
	e := NewExporter("1", "generic")
	e.Ready()
	s, err := Listen("127.0.0.1:0", e.Handler())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(s.Addr(), e.Handler()); err == nil {
		t.Error("a second server got the same port")
	}
	answer, err := http.Get("http://" + s.Addr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if answer.StatusCode != 200 || string(body) != "ok\n" || err != nil {
		t.Errorf("GET /readyz = %d %q, %v", answer.StatusCode, body, err)
	}
	// A client that says nothing must not hold the end up.
	silent, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	begin := time.Now()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if took := time.Since(begin); took > closeTime+2*time.Second {
		t.Errorf("Close took %v", took)
	}
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("the port is still open after Close")
	}
}

// TestBadRequests sends what no client should; the server answers or hangs up, and goes on.
func TestBadRequests(t *testing.T) {
	e := NewExporter("1", "generic")
	s, err := Listen("127.0.0.1:0", e.Handler())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, request := range []string{
		"\x00\x01\x02\x03\r\n\r\n",
		"GET /metrics\r\n\r\n",
		"GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
		"GET /metrics HTTP/1.1\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 1<<20) + "\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET /" + strings.Repeat("a/", 1<<16) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write([]byte(request)) // the server may have hung up by then
		if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && strings.Contains(line, " 200 ") {
			t.Errorf("request %.40q: %q, want a refusal", request, line)
		}
		c.Close()
	}
	answer, err := http.Get("http://" + s.Addr() + "/healthz")
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("the server is gone: %v", err)
	}
	answer.Body.Close()
}

func TestWindow(t *testing.T) {
	now := time.Unix(1000, 0)
	w := &window{now: func() time.Time { return now }}
	if got := w.rate(); got != 0 {
		t.Errorf("rate without events = %v, want 0", got)
	}
	for range 30 { // two a second
		w.add(now)
		now = now.Add(500 * time.Millisecond)
	}
	if got := w.rate(); math.Abs(got-2) > 0.2 {
		t.Errorf("rate = %v, want about 2", got)
	}
	now = now.Add(5 * time.Second)
	if got := w.rate(); got <= 0.5 || got >= 1.5 {
		t.Errorf("rate five seconds later = %v, want about 1", got)
	}
	now = now.Add(time.Minute)
	if got := w.rate(); got != 0 {
		t.Errorf("rate a minute later = %v, want 0", got)
	}
}

func TestAllocations(t *testing.T) {
	train := NewTrain(NewExporter("1", "generic").Registerer())
	got := testing.AllocsPerRun(100, func() {
		train.Step(Step{Loss: 1, Took: time.Second})
		train.Stage("sample", time.Second)
	})
	if got != 0 {
		t.Errorf("a step allocates %v times, want 0", got)
	}
}
