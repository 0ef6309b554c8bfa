package main

import (
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// version is set at link time by release builds.
var version = "0.1.0-dev"

func newVersionCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print version, Go version and the instruction set in use",
		Action: func(*cli.Context) error {
			v := versionLine{"version", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, cpufeat.Chosen().String(), revision()}
			if e.json {
				return e.printJSON(v)
			}
			return e.printf("saint %s %s %s/%s isa=%s\n", v.Version, v.Go, v.OS, v.Arch, v.ISA)
		},
	}
}

// versionLine is the JSON of the version.
type versionLine struct {
	Type     string `json:"type"`
	Version  string `json:"version"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	ISA      string `json:"isa"`
	Revision string `json:"revision,omitempty"`
}

// revision returns the commit that was built, if the build recorded it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
