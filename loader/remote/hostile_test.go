package remote_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/loader/remote"
)

// plain is a client of arrow's own making.
func plain(t testing.TB, host string) flight.FlightServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return flight.NewFlightServiceClient(conn)
}

func get(t testing.TB, c flight.FlightServiceClient, ticket string) error {
	t.Helper()
	s, err := c.DoGet(t.Context(), &flight.Ticket{Ticket: []byte(ticket)})
	for err == nil {
		_, err = s.Recv()
	}
	return err
}

var badTickets = []struct {
	ticket, want string
	code         codes.Code
}{
	{"", "JSON object", codes.InvalidArgument},
	{"x", "JSON object", codes.InvalidArgument},
	{"[]", "JSON object", codes.InvalidArgument},
	{"{", "ends early", codes.InvalidArgument},
	{"{}", "dataset is missing", codes.InvalidArgument},
	{`{"dataset":"test"`, "ends early", codes.InvalidArgument},
	{`{"dataset":"test"}{}`, "more than one", codes.InvalidArgument},
	{`{"dataset":"test","dataset":"test"}`, "stands twice", codes.InvalidArgument},
	{`{"Dataset":"test"}`, "unknown key", codes.InvalidArgument},
	{`{"dataset":"test","path":"/etc/passwd"}`, "unknown key", codes.InvalidArgument},
	{`{"dataset":""}`, "1 to 255 bytes", codes.InvalidArgument},
	{`{"dataset":7}`, "1 to 255 bytes", codes.InvalidArgument},
	{`{"dataset":"` + strings.Repeat("x", 256) + `"}`, "1 to 255 bytes", codes.InvalidArgument},
	{`{"dataset":"` + strings.Repeat("x", 5000) + `"}`, "at most 4096", codes.InvalidArgument},
	{"{\"dataset\":\"\xff\"}", "UTF-8", codes.InvalidArgument},
	{`{"dataset":"test","phase":-1}`, "phase is", codes.InvalidArgument},
	{`{"dataset":"test","phase":1.5}`, "phase is", codes.InvalidArgument},
	{`{"dataset":"test","phase":"1"}`, "phase is", codes.InvalidArgument},
	{`{"dataset":"test","phase":4294967296}`, "phase is", codes.InvalidArgument},
	{`{"dataset":"test","seed":18446744073709551616}`, "seed is", codes.InvalidArgument},
	{`{"dataset":"test","from":5,"to":4}`, "from is 5", codes.InvalidArgument},
	{`{"dataset":"test","shards":0}`, "shards is 0", codes.InvalidArgument},
	{`{"dataset":"test","shard":2,"shards":2}`, "shard is 2 of 2", codes.InvalidArgument},
	{`{"dataset":"test","shards":9223372036854775808}`, "shards is", codes.InvalidArgument},
	{`{"dataset":"test","shard":18446744073709551615,"shards":9223372036854775807}`, "shard is", codes.InvalidArgument},
	{`{"dataset":"test","shard":1e3,"shards":10000}`, "shard is", codes.InvalidArgument},
	{`{"dataset":"test","columns":"features"}`, "list of column names", codes.InvalidArgument},
	{`{"dataset":"test","columns":["nodes"]}`, "columns has", codes.InvalidArgument},
	{`{"dataset":"test","columns":["features","features"]}`, "features twice", codes.InvalidArgument},
	{`{"dataset":"test","columns":[["features"]]}`, "columns has", codes.InvalidArgument},
	{`{"dataset":"test","columns":["features"`, "ends early", codes.InvalidArgument},
	{`{"dataset":"../../etc"}`, "no data set", codes.NotFound},
	{`{"dataset":"test","phase":77}`, "no phase 77", codes.NotFound},
}

func TestBadTickets(t *testing.T) {
	r := serve(t, serverConfig(many(3)))
	c := plain(t, r.host)
	for _, tc := range badTickets {
		err := get(t, c, tc.ticket)
		if status.Code(err) != tc.code || !strings.Contains(status.Convert(err).Message(), tc.want) {
			t.Errorf("DoGet(%.60q) = %v, want code %v and %q", tc.ticket, err, tc.code, tc.want)
		}
		_, err = c.GetFlightInfo(t.Context(), &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: []byte(tc.ticket)})
		if status.Code(err) != tc.code {
			t.Errorf("GetFlightInfo(%.60q) = %v, want code %v", tc.ticket, err, tc.code)
		}
	}
	if st := r.Stats(); st.StreamsTotal != 0 {
		t.Errorf("%d streams were opened, want none", st.StreamsTotal)
	}
}

func TestBadDescriptorsAndActions(t *testing.T) {
	r := serve(t, serverConfig(many(3)))
	c := plain(t, r.host)
	for want, d := range map[string]*flight.FlightDescriptor{
		"want a path or a command": {},
		"path of 0 parts":          {Type: flight.DescriptorPATH},
		"path of 3 parts":          {Type: flight.DescriptorPATH, Path: []string{"test", "0", "x"}},
		"phase \"x\"":              {Type: flight.DescriptorPATH, Path: []string{"test", "x"}},
		"no phase -1":              {Type: flight.DescriptorPATH, Path: []string{"test", "-1"}},
		"no data set":              {Type: flight.DescriptorPATH, Path: []string{"/etc/passwd", "0"}},
	} {
		if _, err := c.GetFlightInfo(t.Context(), d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("GetFlightInfo = %v, want %q", err, want)
		}
		if _, err := c.GetSchema(t.Context(), d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("GetSchema = %v, want %q", err, want)
		}
	}
	for _, cmd := range []string{`{"dataset":"test","shards":2000}`, `{"dataset":"test","shard":1,"shards":2}`} {
		if _, err := c.GetFlightInfo(t.Context(), &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: []byte(cmd)}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("GetFlightInfo(%s) = %v, want InvalidArgument", cmd, err)
		}
	}
	for kind, body := range map[string]string{"": "", "nothing": "", "norm": "{}", "norm ": `{"dataset":"test"}`} {
		if _, err := act(t, c, kind, body); err == nil {
			t.Errorf("DoAction(%q, %s) succeeds", kind, body)
		}
	}
	if _, err := act(t, c, "norm", `{"dataset":"test","from":1}`); status.Code(err) != codes.InvalidArgument {
		t.Errorf("DoAction(norm) with a stranger's key = %v, want InvalidArgument", err)
	}
}

func act(t testing.TB, c flight.FlightServiceClient, kind, body string) (map[string]any, error) {
	t.Helper()
	s, err := c.DoAction(t.Context(), &flight.Action{Type: kind, Body: []byte(body)})
	if err != nil {
		return nil, err
	}
	r, err := s.Recv()
	if err != nil {
		return nil, err
	}
	got := map[string]any{}
	return got, json.Unmarshal(r.GetBody(), &got)
}

func TestListFlights(t *testing.T) {
	cfg := many(3)
	r := serve(t, serverConfig(cfg))
	c := plain(t, r.host)
	list, err := c.ListFlights(t.Context(), &flight.Criteria{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; ; n++ {
		info, err := list.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if d := info.GetFlightDescriptor(); len(d.GetPath()) != 2 || len(info.GetEndpoint()) != 1 {
			t.Errorf("flight %v", info)
		}
		if err := get(t, c, string(info.GetEndpoint()[0].GetTicket().GetTicket())); !errors.Is(err, io.EOF) {
			t.Errorf("the ticket of flight %d ends with %v", n, err)
		}
	}
	if n != cfg.Phase+1 {
		t.Errorf("%d flights, want one for each of %d phases", n, cfg.Phase+1)
	}
}

func TestEndpoints(t *testing.T) {
	c := plain(t, serve(t, serverConfig(many(3))).host)
	info, err := c.GetFlightInfo(t.Context(), &flight.FlightDescriptor{
		Type: flight.DescriptorCMD, Cmd: []byte(`{"dataset":"test","phase":2,"seed":11,"to":10,"shards":3,"columns":["edge_ids","features"]}`),
	})
	if err != nil || len(info.GetEndpoint()) != 3 || info.GetTotalRecords() != 10 {
		t.Fatalf("GetFlightInfo = %v, %v, want three endpoints and 10 records", info, err)
	}
	records := 0
	for _, e := range info.GetEndpoint() {
		s, err := c.DoGet(t.Context(), e.GetTicket())
		if err != nil {
			t.Fatal(err)
		}
		rd, err := flight.NewRecordReader(s)
		if err != nil {
			t.Fatal(err)
		}
		for ; rd.Next(); records++ {
			row, err := arrowrec.View(rd.Record(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(row.EdgeIDs) == 0 || len(row.Features) == 0 {
				t.Errorf("batch %d lacks columns that were asked for", row.Index)
			}
		}
		if err := rd.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if records != 10 {
		t.Errorf("the endpoints hold %d batches, want 10", records)
	}
	sent, err := c.GetSchema(t.Context(), info.GetFlightDescriptor())
	if err != nil || !bytes.Equal(sent.GetSchema(), info.GetSchema()) {
		t.Errorf("GetSchema = %v, %v, want that of GetFlightInfo", sent, err)
	}
}

func TestActions(t *testing.T) {
	r := serve(t, serverConfig(many(3)))
	c := plain(t, r.host)
	for kind, key := range map[string]string{"health": "status", "stats": "batches"} {
		if got, err := act(t, c, kind, ""); err != nil || got[key] == nil {
			t.Errorf("DoAction(%s) = %v, %v, want %s", kind, got, err, key)
		}
	}
	if got, err := act(t, c, "drain", ""); err != nil || got["status"] != "draining" {
		t.Errorf("DoAction(drain) = %v, %v", got, err)
	}
	select {
	case <-r.Draining():
	default:
		t.Error("the action drain does not drain")
	}
}

func FuzzTicket(f *testing.F) {
	for _, tc := range badTickets {
		f.Add([]byte(tc.ticket))
	}
	f.Add([]byte(`{"dataset":"ppi","phase":1,"seed":2,"from":3,"to":40,"shard":1,"shards":2,"columns":["features","edge_ids"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ticket, err := remote.ParseTicket(b)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		again, err := remote.ParseTicket(ticket.Encode())
		if err != nil || again != ticket {
			t.Errorf("ParseTicket(Encode(%+v)) = %+v, %v", ticket, again, err)
		}
	})
}

// frame is an HTTP/2 frame.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// TestRawBytes sends what no HTTP/2 client sends. The server closes each connection or waits
// for more, and serves others as before.
func TestRawBytes(t *testing.T) {
	r := serve(t, serverConfig(many(3)))
	good := plain(t, r.host)
	if err := get(t, good, `{"dataset":"test","to":3}`); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	settings := frame(4, 0, 0, nil)
	start := append([]byte(preface), settings...)
	headers := []byte{0x83, 0x86, 0x44, 5, '/', 'a', '/', 'b', 'c', 0x41, 1, 'x', 0x5f, 16, 'a', 'p', 'p', 'l', 'i', 'c', 'a', 't', 'i', 'o', 'n', '/', 'g', 'r', 'p', 'c'}
	cases := [][]byte{
		{},
		[]byte("GET / HTTP/1.1\r\n\r\n"), []byte(preface[:10]), []byte(preface), bytes.Repeat([]byte{0}, 4096), bytes.Repeat([]byte{0xff}, 1<<16),
		append(bytes.Clone(start), 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1),                                                          // a frame of 16 MiB that never comes
		append(bytes.Clone(start), frame(1, 4, 1, bytes.Repeat([]byte{0xff}, 3000))...),                                         // headers that do not decode
		append(bytes.Clone(start), frame(1, 4, 1, headers)...),                                                                  // a call without a body
		append(bytes.Clone(start), frame(0, 0, 5, []byte("data of no stream"))...),                                              //
		append(append(bytes.Clone(start), frame(1, 4, 1, headers)...), frame(0, 1, 1, []byte{0, 0xff, 0xff, 0xff, 0xff, 1})...), // a message of 4 GiB
		append(bytes.Clone(start), frame(8, 0, 0, []byte{0, 0, 0, 0})...),                                                       // a window update of 0
		append(bytes.Clone(start), bytes.Repeat(frame(6, 0, 0, make([]byte, 8)), 1000)...),                                      // pings
		append(bytes.Clone(start), bytes.Repeat(frame(9, 0, 1, make([]byte, 1000)), 100)...),                                    // continuation of nothing
	}
	random := mathrand.New(mathrand.NewPCG(1, 1))
	for range 60 {
		b := bytes.Clone(start)
		for range random.IntN(8) {
			payload := make([]byte, random.IntN(64))
			for i := range payload {
				payload[i] = byte(random.Uint32())
			}
			b = append(b, frame(byte(random.IntN(11)), byte(random.Uint32()), random.Uint32N(6), payload)...)
		}
		cases = append(cases, b[:random.IntN(len(b)+1)])
	}
	before := runtime.NumGoroutine()
	for _, b := range cases {
		conn, err := net.Dial("tcp", r.host)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		conn.Write(b)
		if len(b)%2 == 0 {
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
		}
		conn.Close()
	}
	if err := get(t, good, `{"dataset":"test","to":3}`); !errors.Is(err, io.EOF) {
		t.Errorf("afterwards a good client gets %v", err)
	}
	eventually(t, func() error {
		if n := runtime.NumGoroutine(); n > before {
			return fmt.Errorf("%d goroutines, %d before", n, before)
		}
		if st := r.Stats(); st.Connections > 1 || st.BatchBytes != 0 {
			return fmt.Errorf("%+v, want one connection and no batches", st)
		}
		return nil
	})
}

func TestOversizedRequest(t *testing.T) {
	r := serve(t, serverConfig(many(3)))
	c := plain(t, r.host)
	if err := get(t, c, strings.Repeat("x", 1<<20)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("DoGet of a ticket of 1 MiB = %v, want ResourceExhausted", err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	sc := serverConfig(many(3))
	sc.MaxConnections = 4
	r := serve(t, sc)
	var open []net.Conn
	for range 10 {
		conn, err := net.Dial("tcp", r.host)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	eventually(t, func() error {
		if n := r.Stats().Connections; n != 4 {
			return fmt.Errorf("%d connections, want 4", n)
		}
		return nil
	})
	for _, c := range open {
		c.Close()
	}
	eventually(t, func() error { return get2(t, r) })
}

func get2(t testing.TB, r *running) error {
	if err := get(t, plain(t, r.host), `{"dataset":"test","to":3}`); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func TestToken(t *testing.T) {
	const token = "correct-horse-battery-staple"
	cfg := many(3)
	sc := serverConfig(cfg)
	sc.Token = token
	r := serve(t, sc)
	for _, wrong := range []string{"", "wrong-horse-battery-staple", token + "x", token[:len(token)-1]} {
		c := clientConfig(cfg, r.host)
		c.Token = wrong
		err := nextError(t, open(t, c))
		var call *remote.CallError
		if !errors.As(err, &call) || call.Code != codes.Unauthenticated {
			t.Errorf("Next() with token %q = %v, want Unauthenticated", wrong, err)
		}
		if _, err := remote.Find(t.Context(), c); !errors.As(err, &call) || call.Code != codes.Unauthenticated {
			t.Errorf("Find with token %q = %v, want Unauthenticated", wrong, err)
		}
	}
	c := clientConfig(cfg, r.host)
	c.Token = token
	expectAll(t, open(t, c), cfg, 0, 3)
	p := plain(t, r.host)
	if _, err := p.GetSchema(t.Context(), &flight.FlightDescriptor{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("GetSchema = %v, want Unauthenticated", err)
	}
	for _, bad := range []string{"short", strings.Repeat("x", 2000), "with a space in the middle", "mit Ümläuten in der Mitte"} {
		if remote.CheckToken(bad) == nil {
			t.Errorf("CheckToken(%.30q) succeeds", bad)
		}
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) sign(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	cfg := many(3)
	sc := serverConfig(cfg)
	sc.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ours.sign(t)}, ClientCAs: ours.pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	}
	r := serve(t, sc)
	for name, c := range map[string]*tls.Config{
		"plain text":             nil,
		"no certificate":         {RootCAs: ours.pool()},
		"a stranger's":           {RootCAs: ours.pool(), Certificates: []tls.Certificate{theirs.sign(t)}},
		"distrusts the server's": {RootCAs: theirs.pool(), Certificates: []tls.Certificate{ours.sign(t)}},
	} {
		t.Run(name, func(t *testing.T) {
			rc := clientConfig(cfg, r.host)
			rc.TLS, rc.Patience = c, 100*time.Millisecond
			if err := nextError(t, open(t, rc)); errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Next() = %v", err)
			}
		})
	}
	rc := clientConfig(cfg, r.host)
	rc.TLS = &tls.Config{RootCAs: ours.pool(), Certificates: []tls.Certificate{ours.sign(t)}}
	expectAll(t, open(t, rc), cfg, 0, 3)
	if n := r.Stats().StreamsTotal; n != 1 {
		t.Errorf("%d streams, want that of the one good client", n)
	}
}

func TestServerConfigIsChecked(t *testing.T) {
	good := serverConfig(many(1))
	for want, change := range map[string]func(*remote.ServerConfig){
		"no data set":  func(c *remote.ServerConfig) { c.Datasets = nil },
		"two data":     func(c *remote.ServerConfig) { c.Datasets = append(c.Datasets, c.Datasets[0]) },
		"has no phase": func(c *remote.ServerConfig) { c.Datasets = []remote.Dataset{{Name: "x"}} },
		"name":         func(c *remote.ServerConfig) { c.Datasets = []remote.Dataset{{}} },
		"token":        func(c *remote.ServerConfig) { c.Token = "x" },
	} {
		c := good
		change(&c)
		if _, err := remote.NewServer(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewServer = %v, want an error with %q", err, want)
		}
	}
}
