// Command cudaheader writes what the compiler needs to build gorgonia.org/cu without a CUDA
// toolkit: include/cuda.h, made from the declarations that the module itself carries, and an empty
// lib/libcuda.a, because package culoader supplies the symbols.
//
//	go run ./tools/cudaheader DIR
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// symbols lists the linked entries; the ones with a version suffix have a plain name in the API.
const symbols = "cuda/internal/culoader/symbols.h"

// preamble has what the module's copy of the header expects from headers it left out.
const preamble = `#pragma once
#include <stdint.h>
#include <stdlib.h>
#define CU_TRSF_READ_AS_INTEGER 0x01
#define CU_TRSF_NORMALIZED_COORDINATES 0x02
`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cudaheader DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "cudaheader:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	module, err := moduleDir("gorgonia.org/cu")
	if err != nil {
		return err
	}
	declarations, err := os.ReadFile(filepath.Join(module, "cmd", "genlib", "cuda.h"))
	if err != nil {
		return err
	}
	names, err := os.ReadFile(symbols)
	if err != nil {
		return err
	}
	header, err := makeHeader(declarations, names)
	if err != nil {
		return err
	}
	return writeAll(map[string][]byte{
		filepath.Join(dir, "include", "cuda.h"): header,
		filepath.Join(dir, "lib", "libcuda.a"):  []byte("!<arch>\n"),
	})
}

// moduleDir returns the folder of a module in Go's cache, downloading it if needed.
func moduleDir(path string) (string, error) {
	for _, args := range [][]string{{"mod", "download", path}, {"list", "-m", "-f", "{{.Dir}}", path}} {
		cmd := exec.Command("go", args...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("go %s %s: %w", args[0], args[1], err)
		}
		if args[0] == "list" {
			return string(bytes.TrimSpace(out)), nil
		}
	}
	return "", nil
}

var (
	versioned = regexp.MustCompile(`(?m)^SYMBOL\((cu\w+)(_v\d)\)$`)
	// The declarations before this one are the C library's, which the preamble includes.
	firstOwn = regexp.MustCompile(`(?m)^typedef .*\bcuuint32_t;$`)
)

// makeHeader returns cuda.h: the API maps plain names to the current version of an entry, and the
// module's copy of the header has lost these definitions.
func makeHeader(declarations, names []byte) ([]byte, error) {
	start := firstOwn.FindIndex(declarations)
	if start == nil {
		return nil, fmt.Errorf("cuda.h of gorgonia.org/cu does not declare cuuint32_t: it is not the version that go.mod asks for")
	}
	out := bytes.NewBufferString(preamble)
	for _, m := range versioned.FindAllSubmatch(names, -1) {
		fmt.Fprintf(out, "#define %s %s%s\n", m[1], m[1], m[2])
	}
	out.Write(declarations[start[0]:])
	return out.Bytes(), nil
}

// writeAll writes the files whose contents differ, so that builds find unchanged ones as old as
// they are.
func writeAll(files map[string][]byte) error {
	for path, data := range files {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
