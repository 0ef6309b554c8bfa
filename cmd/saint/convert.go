package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/internal/fileop"
)

func newConvertCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "convert", Usage: "turn other formats into data folders",
		Subcommands: append([]*cli.Command{newConvertOGBCommand(e)}, otherConverters(e)...),
	}
}

// newFolder finds a folder to write that cannot be written before any work is done, and
// makes the folders above it.
func newFolder(out string) error {
	if out == "" {
		return usagef("--out is missing: the folder to write")
	}
	switch entries, err := os.ReadDir(out); {
	case err == nil && len(entries) > 0:
		return usagef("--out %s: the folder exists and is not empty; choose another", out)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		if info, statErr := os.Stat(out); statErr == nil && !info.IsDir() {
			return usagef("--out %s: there is a file of that name; choose another", out)
		}
		return fmt.Errorf("--out: %w", err)
	}
	if err := fileop.MkdirAll(filepath.Dir(filepath.Clean(out)), 0o777); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}
