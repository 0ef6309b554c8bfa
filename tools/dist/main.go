// Command dist builds the release archives: for every system a folder with the program and its
// papers as .tar.gz, and SHA256SUMS. The same sources, Go and C compiler give the same bytes: nothing of
// the machine or the time goes in, but for the date in SOURCE_DATE_EPOCH (without it 1970).
//
//	go run ./tools/dist -version 0.1.0 -cc 'zig cc -target x86_64-linux-gnu.2.17' -cuda .tools/cuda
//
// The archive for linux/amd64 has the CUDA driver's binding, which needs a C compiler; with -cc "" it
// is built without.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// target is a system to build for.
type target struct {
	os, arch string
	cuda     bool
}

var targets = []target{
	{"linux", "amd64", true},
	{"linux", "arm64", false},
	{"darwin", "amd64", false},
	{"darwin", "arm64", false},
}

// papers go into every archive.
var papers = []string{"LICENSE", "NOTICE", "README.md", "CHANGELOG.md"}

type options struct {
	version, cc, cuda, out string
	date                   time.Time
}

func main() {
	var o options
	flag.StringVar(&o.version, "version", "0.1.0-dev", "what 'saint version' says, and the names of the archives")
	flag.StringVar(&o.cc, "cc", "", "C compiler of the build with CUDA, for linux/amd64")
	flag.StringVar(&o.cuda, "cuda", ".tools/cuda", "folder that tools/cudaheader wrote")
	flag.StringVar(&o.out, "out", "dist", "folder of the archives")
	flag.Parse()
	err := o.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func (o *options) run() (err error) {
	var seconds int64
	if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
		if seconds, err = strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
	}
	o.date = time.Unix(seconds, 0).UTC()
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "saint-dist")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	var sums bytes.Buffer
	for _, t := range targets {
		program := filepath.Join(work, t.os+"-"+t.arch)
		if err := o.build(t, program); err != nil {
			return fmt.Errorf("%s/%s: %w", t.os, t.arch, err)
		}
		name := fmt.Sprintf("saint-%s-%s-%s", o.version, t.os, t.arch)
		sum, err := o.pack(program, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s.tar.gz\n", sum, name)
		fmt.Printf("%s  %s.tar.gz\n", sum, name)
	}
	return os.WriteFile(filepath.Join(o.out, "SHA256SUMS"), sums.Bytes(), 0o644)
}

// build compiles the program. cgo's parts of the standard library stay out: the C library is there
// for the driver only.
func (o *options) build(t target, to string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.version=" + o.version, "-o", to}
	env := append(os.Environ(), "GOOS="+t.os, "GOARCH="+t.arch, "GOFLAGS=", "GOAMD64=v1", "CGO_ENABLED=0")
	if t.cuda && o.cc != "" {
		dir, err := filepath.Abs(o.cuda)
		if err != nil {
			return err
		}
		args = append(args, "-tags", "cuda,netgo,osusergo")
		// The binding asks for the headers of the machine; the compiler's own come first.
		env = append(env, "CGO_ENABLED=1", "CC="+o.cc,
			"CGO_CFLAGS=-O2 -idirafter /usr/include -I"+filepath.Join(dir, "include"), "CGO_LDFLAGS=-L"+filepath.Join(dir, "lib"))
	}
	cmd := exec.Command("go", append(args, "./cmd/saint")...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	return cmd.Run()
}

// pack writes an archive and returns its sum.
func (o *options) pack(program, name string) (string, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	w := tar.NewWriter(z)
	if err := o.add(w, program, name+"/saint", 0o755); err != nil {
		return "", err
	}
	for _, p := range papers {
		if err := o.add(w, p, name+"/"+p, 0o644); err != nil {
			return "", err
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return "", err
	}
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:]), os.WriteFile(filepath.Join(o.out, name+".tar.gz"), b.Bytes(), 0o644)
}

func (o *options) add(w *tar.Writer, path, name string, mode int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: mode, Size: info.Size(), ModTime: o.date, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
