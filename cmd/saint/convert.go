package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"
)

func newConvertCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "convert", Usage: "turn other formats into data folders",
		Subcommands: append([]*cli.Command{newConvertOGBCommand(e)}, otherConverters(e)...),
	}
}

// newFolder finds a folder to write that cannot be written before any work is done. Folders above
// it that are not there are made when it is written.
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
		if !errors.Is(err, syscall.ENOTDIR) {
			return fmt.Errorf("--out: %w", err)
		}
	}
	return foldersTo(out, filepath.Dir(filepath.Clean(out)))
}

// foldersTo refuses out if above, or what is there of the way to it, is a file.
func foldersTo(out, above string) error {
	for ; ; above = filepath.Dir(above) {
		switch info, err := os.Stat(above); {
		case err == nil && !info.IsDir():
			return usagef("--out %s: %s is a file", out, above)
		case err == nil || above == filepath.Dir(above):
			return nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return fmt.Errorf("--out: %w", err)
		}
	}
}
