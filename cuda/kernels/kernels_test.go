package kernels

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/ptx"
)

func TestPTXIsOfItsSource(t *testing.T) {
	include := regexp.MustCompile(`(?m)^#include "(\w+\.cuh)"`)
	sources, _ := filepath.Glob("*.cu")
	var names []string
	for _, source := range sources {
		name := strings.TrimSuffix(source, ".cu")
		names = append(names, name)
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, header := range include.FindAllSubmatch(text, -1) {
			h, err := os.ReadFile(string(header[1]))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, h...)
		}
		sum := sha256.Sum256(append(all, text...))
		want := "// sources sha256 " + hex.EncodeToString(sum[:])
		if got, _, _ := strings.Cut(PTX(name), "\n"); got != want {
			t.Errorf("%s.ptx begins with %q, want %q: its sources have changed, run 'make ptx'", name, got, want)
		}
	}
	if got := Families(); !slices.Equal(got, names) {
		t.Errorf("Families() = %v, want those of the sources: %v", got, names)
	}
}

func TestPTXIsForOldDrivers(t *testing.T) {
	for _, family := range Families() {
		m, err := ptx.Parse(PTX(family))
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		// CUDA 12.0 takes PTX 8.0; compute capability 7.5 is the least that CUDA 13 has.
		if m.Version != "8.0" || m.Target != "sm_75" {
			t.Errorf("%s is PTX %s for %s, want 8.0 for sm_75", family, m.Version, m.Target)
		}
	}
}

// No kernel may spill, and each has to fit a block of 256 threads on every architecture.
func TestResources(t *testing.T) {
	f, err := os.Open("resources.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 8 || fields[0] == "file" {
			continue
		}
		seen[fields[1]] = true
		if spilled := fields[7]; spilled != "0" {
			t.Errorf("%s spills %s bytes", fields[1], spilled)
		}
	}
	for _, family := range Families() {
		m, err := ptx.Parse(PTX(family))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range m.Names() {
			if !seen[name] {
				t.Errorf("resources.txt does not have %s, run 'make ptx'", name)
			}
		}
	}
}
