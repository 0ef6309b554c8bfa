package main

import (
	"bytes"
	"io"
	"testing"
)

// FuzzRead sums up any stream of events.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"Action":"output","Package":"a","Test":"T","Output":"    a_test.go:3: no data\n"}
{"Action":"skip","Package":"a","Test":"T"}
{"Action":"fail","Package":"a","Test":"U"}
{"Action":"fail","Package":"a","FailedBuild":"a"}
{"Action":"pass","Package":"b","Elapsed":1.5}
no JSON`))
	f.Fuzz(func(t *testing.T, events []byte) {
		s := newSummary(io.Discard)
		if err := s.read(bytes.NewReader(events)); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(events, []byte("\n")) + 1; s.passed+s.failed+s.skipped > n {
			t.Fatalf("%d passed, %d failed, %d skipped in %d lines", s.passed, s.failed, s.skipped, n)
		}
	})
}
