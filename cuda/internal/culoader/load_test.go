//go:build cuda && linux && (amd64 || arm64)

package culoader

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build compiles a library of C code, or skips the test.
func build(t *testing.T, path, code string) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "lib.c")
	if err := os.WriteFile(source, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", path, source).CombinedOutput(); err != nil {
		t.Skipf("no C compiler: %v\n%s", err, out)
	}
}

const (
	noGPUs    = `int cuInit(unsigned f) { return 100; } int cuGetErrorString(int c, const char **s) { *s = "no device\nis there"; return 0; }`
	notDriver = `int cuOther(void) { return 0; }`
)

// The names are not the driver's: a machine may have one.
func TestOpen(t *testing.T) {
	defer func(old []string) { besides = old }(besides)
	dir := t.TempDir()
	build(t, filepath.Join(dir, "libsaint-bare.so"), noGPUs)
	build(t, filepath.Join(dir, "libsaint-other.so"), notDriver)
	t.Setenv("CUDA_VISIBLE_DEVICES", "")
	tests := []struct {
		name, library string
		besides       []string
		want          string // the whole error but for its first words
	}{
		{"nowhere", "libsaint-none.so", []string{dir}, "libsaint-none.so: cannot open shared object file: No such file or directory"},
		{"in a folder, no GPU", "libsaint-bare.so", []string{"/nowhere", dir}, `cuInit: no device is there (error 100); CUDA_VISIBLE_DEVICES is ""`},
		{"not the driver", "libsaint-other.so", []string{dir}, "cannot open shared object file"},
		{"by its path", filepath.Join(dir, "libsaint-other.so"), nil, "has no cuInit, it is not the CUDA driver"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			besides = tt.besides
			err := open(tt.library)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("open(%q) = %v, want %q", tt.library, err, tt.want)
			}
		})
	}
}

func TestSymbolWithoutDriver(t *testing.T) {
	if _, err := Symbol("cuInit"); err == nil || !strings.Contains(err.Error(), Library) {
		t.Errorf("Symbol before Open = %v, want an error that names %s", err, Library)
	}
}

func TestCandidates(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"nvidia/cu13/lib/libx.so", "nvidia/nccl/lib/liby.so", "libz.so"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ env, name, want string }{
		{dir, "libx.so", "nvidia/cu13/lib/libx.so"},
		{"/nowhere:" + dir + "/nvidia", "liby.so", "nvidia/nccl/lib/liby.so"},
		{dir, "libz.so", "libz.so"},
	} {
		t.Setenv(libraryEnv, tt.env)
		found := candidates(tt.name)
		if len(found) < 2 || found[0] != filepath.Join(dir, tt.want) || found[1] != tt.name {
			t.Errorf("candidates(%q) with %s=%s = %v, want %s and then the name", tt.name, libraryEnv, tt.env, found, tt.want)
		}
	}
	t.Setenv(libraryEnv, "")
	venv := t.TempDir()
	wheel := filepath.Join(venv, "lib", "python3.12", "site-packages", "nvidia", "cublas", "lib", "libx.so")
	python := filepath.Join(venv, "bin", "python3")
	for _, path := range []string{wheel, python} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("VIRTUAL_ENV", venv)
	if found := candidates("libx.so"); len(found) != 2 || found[1] != wheel {
		t.Errorf("candidates in an environment = %v, want %s last", found, wheel)
	}
	t.Setenv("VIRTUAL_ENV", "")
	t.Setenv("PATH", filepath.Dir(python))
	if found := candidates("libx.so"); len(found) != 2 || found[1] != wheel {
		t.Errorf("candidates with its python3 on the path = %v, want %s last", found, wheel)
	}
	t.Setenv("PATH", "")
	if found := candidates("libx.so"); len(found) != 1 || found[0] != "libx.so" {
		t.Errorf("candidates without the variable = %v, want the name alone", found)
	}
}
