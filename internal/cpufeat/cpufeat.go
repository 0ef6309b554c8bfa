// Package cpufeat chooses the instruction set of the CPU kernels once, at start-up: the
// best that the processor, the operating system and the build support, or a lower one
// that the environment asks for.
//
//	SAINT_ISA=amx|avx512|avx2|generic          use no more than this
//	SAINT_REQUIRE_ISA=amx|avx512|avx2|generic  Err reports it if less than this was chosen
package cpufeat

import (
	"fmt"
	"os"
)

// The environment variables that this package reads.
const (
	EnvISA     = "SAINT_ISA"
	EnvRequire = "SAINT_REQUIRE_ISA"
)

// Level is a set of instructions that kernels are written for. Higher levels include the
// lower ones.
type Level int

// The levels, from portable Go upwards.
const (
	Generic Level = iota // portable Go, every architecture
	AVX2                 // amd64 with AVX2 and FMA
	AVX512               // amd64 with AVX-512 F, DQ, BW and VL, and what AVX2 asks for
	AMX                  // Linux on amd64 with AMX-TILE and AMX-BF16, the system's leave to use them, and AVX512
)

// String returns the word of the level as SAINT_ISA takes it.
func (l Level) String() string {
	switch l {
	case AMX:
		return "amx"
	case AVX512:
		return "avx512"
	case AVX2:
		return "avx2"
	default:
		return "generic"
	}
}

var (
	best            = detect()
	chosen, initErr = choose(best, os.Getenv(EnvISA), os.Getenv(EnvRequire))
)

// Best returns the highest level that this processor and this build support.
func Best() Level { return best }

// Chosen returns the level in use: Best, or what SAINT_ISA lowered it to. It does not
// change while the process runs.
func Chosen() Level { return chosen }

// Err reports a bad SAINT_ISA or an unmet SAINT_REQUIRE_ISA in words for the user; Chosen
// is then still a level that works.
func Err() error { return initErr }

// Parse returns the level of a word.
func Parse(word string) (Level, error) {
	for _, l := range []Level{Generic, AVX2, AVX512, AMX} {
		if word == l.String() {
			return l, nil
		}
	}
	return Generic, fmt.Errorf("unknown instruction set %q, want amx, avx512, avx2 or generic", word)
}

func choose(best Level, isa, require string) (Level, error) {
	level := best
	if isa != "" {
		asked, err := Parse(isa)
		if err != nil {
			return best, fmt.Errorf("%s: %w", EnvISA, err)
		}
		if asked > best {
			return best, fmt.Errorf("%s: this processor or build has no %s, the best it has is %s", EnvISA, asked, best)
		}
		level = asked
	}
	if require != "" {
		needed, err := Parse(require)
		if err != nil {
			return level, fmt.Errorf("%s: %w", EnvRequire, err)
		}
		if needed > level {
			return level, fmt.Errorf("%s: %s is required but %s is in use", EnvRequire, needed, level)
		}
	}
	return level, nil
}
