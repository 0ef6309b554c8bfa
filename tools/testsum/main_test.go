package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	tests := []struct {
		name   string
		events string
		ok     bool
		want   []string
	}{
		{
			name: "passes and skips",
			events: `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:3: no data here\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"pass","Package":"p","Elapsed":1.5}
{"Action":"skip","Package":"q"}
`,
			ok:   true,
			want: []string{"ok    p", "skip  1 in p: no data here\n", "1 passed, 0 failed, 1 skipped\n"},
		},
		{
			name: "a failing test shows its output",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: f(1) = 2, want 3\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Elapsed":0.2}
`,
			want: []string{"--- FAIL: p TestA\n        a_test.go:9: f(1) = 2, want 3\n", "FAIL  p", "0 passed, 1 failed, 0 skipped\n"},
		},
		{
			name: "a package that does not build",
			events: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:1: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p [p.test]"}
`,
			want: []string{"    p.go:1: undefined: x\n", "1 packages did not build", "0 passed, 1 failed, 0 skipped\n"},
		},
		{
			name: "a test that never ended",
			events: `{"Action":"output","Package":"p","Test":"TestA","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"p","Elapsed":600}
`,
			want: []string{"panic: test timed out", "0 passed, 1 failed, 0 skipped\n"},
		},
		{
			name:   "what is not JSON is passed on",
			events: "warning: something\n",
			ok:     true,
			want:   []string{"warning: something\n", "0 passed, 0 failed, 0 skipped\n"},
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			s := newSummary(&out)
			if err := s.read(strings.NewReader(tc.events)); err != nil {
				t.Fatal(err)
			}
			if ok := s.close(); ok != tc.ok {
				t.Errorf("close() = %v, want %v", ok, tc.ok)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}
