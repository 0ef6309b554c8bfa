package cpufeat

import (
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	tests := []struct {
		name         string
		best         Level
		isa, require string
		want         Level
		err          string
	}{
		{"nothing asked", AVX2, "", "", AVX2, ""},
		{"lowered", AVX512, "avx2", "", AVX2, ""},
		{"lowered to Go", AVX512, "generic", "", Generic, ""},
		{"the same", AVX512, "avx512", "", AVX512, ""},
		{"too much", AVX2, "avx512", "", AVX2, "SAINT_ISA: this processor or build has no avx512, the best it has is avx2"},
		{"AMX lowered", AMX, "avx512", "", AVX512, ""},
		{"AMX on AVX-512", AVX512, "amx", "", AVX512, "SAINT_ISA: this processor or build has no amx, the best it has is avx512"},
		{"AMX required", AVX512, "", "amx", AVX512, "SAINT_REQUIRE_ISA: amx is required but avx512 is in use"},
		{"unknown word", AVX2, "sse9", "", AVX2, `SAINT_ISA: unknown instruction set "sse9"`},
		{"required and there", AVX512, "", "avx2", AVX512, ""},
		{"required but lowered", AVX512, "avx2", "avx512", AVX2, "SAINT_REQUIRE_ISA: avx512 is required but avx2 is in use"},
		{"required unknown", AVX2, "", "AVX2", AVX2, `SAINT_REQUIRE_ISA: unknown instruction set "AVX2"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := choose(tt.best, tt.isa, tt.require)
			if got != tt.want {
				t.Errorf("choose(%v, %q, %q) = %v, want %v", tt.best, tt.isa, tt.require, got, tt.want)
			}
			if msg := errText(err); tt.err == "" && msg != "" || !strings.HasPrefix(msg, tt.err) {
				t.Errorf("choose(%v, %q, %q) error = %q, want prefix %q", tt.best, tt.isa, tt.require, msg, tt.err)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParse(t *testing.T) {
	for _, l := range []Level{Generic, AVX2, AVX512, AMX} {
		if got, err := Parse(l.String()); got != l || err != nil {
			t.Errorf("Parse(%q) = %v, %v, want %v", l.String(), got, err, l)
		}
	}
	if _, err := Parse(""); err == nil {
		t.Error("Parse of an empty word reports no error")
	}
}

// A run with SAINT_REQUIRE_ISA fails here when the processor or build silently falls back.
func TestEnvironment(t *testing.T) {
	if err := Err(); err != nil {
		t.Error(err)
	}
	if Chosen() > Best() {
		t.Errorf("Chosen() = %v, above Best() = %v", Chosen(), Best())
	}
}
