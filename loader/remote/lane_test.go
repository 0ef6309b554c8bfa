package remote

import "testing"

func TestPlainly(t *testing.T) {
	for message, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"`:                "dial tcp 127.0.0.1:1: connect: connection refused; is 'saint serve' running there?",
		`connection error: desc = "error reading server preface: EOF"`:                                                                "error reading server preface: EOF; no service of this kind answers there, or it wants TLS: grpcs://",
		`connection error: desc = "transport: authentication handshake failed: tls: first record does not look like a TLS handshake"`: "authentication handshake failed: tls: first record does not look like a TLS handshake; it does not encrypt: grpc://",
	} {
		if got := plainly(message); got != want {
			t.Errorf("plainly(%q) = %q, want %q", message, got, want)
		}
	}
}
