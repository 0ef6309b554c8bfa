package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats/download"
	"github.com/saint-gnn/saint/internal/fileop"
)

// downloadBase is the environment's form of --base_url.
const downloadBase = "SAINT_DOWNLOAD_BASE"

func newDownloadCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "download", Usage: "fetch a public data set", ArgsUsage: "NAME",
		Description: "NAME is one of " + strings.Join(download.Names(), ", ") + ".\n" +
			"Interrupted downloads go on where they stopped. The SHA-256 of the first complete download is recorded beside the file and checked from then on.\n" +
			"OGB's archives are then converted to the data folder NAME, as 'saint convert ogb' does.\n" +
			"Example: saint download ogbn-arxiv --dir data",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Value: "data", Usage: "`FOLDER` to write to; made if it is missing"},
			&cli.StringFlag{Name: "base_url", Usage: "`URL` of a mirror that holds OGB's archives or NAME/FILE (environment: " + downloadBase + ")"},
			&cli.BoolFlag{Name: "no_convert", Usage: "keep an archive as it is"},
			&cli.StringFlag{Name: "sha256", Usage: "expected `DIGEST` of an archive"},
			&cli.IntFlag{Name: "retries", Value: 5, Usage: "tries `N` in a row that may bring nothing"},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return usagef("download needs one name: %s", strings.Join(download.Names(), ", "))
			}
			src, err := download.Lookup(c.Args().First())
			if err != nil {
				return usagef("%v", err)
			}
			job := downloadJob{env: e, source: src, dir: c.String("dir"), sum: c.String("sha256"), retries: c.Int("retries"), convert: !c.Bool("no_convert")}
			if err := job.check(c.String("base_url")); err != nil {
				return err
			}
			return job.run(c.Context)
		},
	}
}

// downloadJob is one data set to fetch.
type downloadJob struct {
	env     *env
	source  download.Source
	dir     string
	sum     string
	retries int
	convert bool // an archive, after it is there
}

// check completes and verifies what the user gave.
func (j *downloadJob) check(base string) error {
	if base == "" {
		base = j.env.Getenv(downloadBase)
	}
	if base != "" {
		if u, err := url.Parse(base); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return usagef("--base_url %q: want an address such as https://mirror.example/data", base)
		}
		j.source.Base = strings.TrimRight(base, "/")
	}
	if raw, err := hex.DecodeString(j.sum); j.sum != "" && (err != nil || len(raw) != 32) {
		return usagef("--sha256 %q: want 64 hexadecimal digits", j.sum)
	}
	if j.sum != "" && len(j.source.Files) > 1 {
		return usagef("--sha256: %s is %d files, so one digest says nothing", j.source.Name, len(j.source.Files))
	}
	switch {
	case j.retries < 0:
		return usagef("--retries is %d, want 0 or more", j.retries)
	case j.retries == 0:
		j.retries = -1 // none, where 0 stands for the default
	}
	return nil
}

// downloadLine is the JSON of a fetched file.
type downloadLine struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	File     string `json:"file"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
	Present  bool   `json:"present"`
	Resumed  int64  `json:"resumed_bytes"`
	Recorded bool   `json:"recorded"`
}

func (j *downloadJob) run(ctx context.Context) error {
	if j.source.Base == "" {
		return j.byHand(errors.New("it is shared through a page that programs cannot fetch from"))
	}
	for _, file := range j.source.Files {
		if err := fileop.MkdirAll(filepath.Dir(j.path(file)), 0o777); err != nil {
			return fmt.Errorf("--dir: %w", err)
		}
		r, err := j.fetch(ctx, file)
		var digest *download.DigestError
		switch {
		case errors.As(err, &digest), errors.Is(err, os.ErrPermission):
			return err
		case ctx.Err() != nil:
			if err != nil {
				j.env.log.Warn(err.Error())
			}
			return ctx.Err()
		case err != nil:
			return j.byHand(err)
		}
		if err := j.print(r); err != nil {
			return err
		}
	}
	if j.source.Archive && j.convert {
		return j.unpack(ctx)
	}
	return j.say("next: %s\n", j.next())
}

// say prints for people only.
func (j *downloadJob) say(format string, args ...any) error {
	if j.env.json {
		return nil
	}
	return j.env.printf(format, args...)
}

// unpack converts the archive to a data folder, unless that is there.
func (j *downloadJob) unpack(ctx context.Context) error {
	out := filepath.Join(j.dir, j.source.Name)
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
		return j.say("%s is there already; to convert again, delete it and: %s\n", out, j.next())
	}
	args := []string{"saint", "convert", "ogb", "--in", j.path(j.source.Files[0]), "--out", out}
	for flag, set := range map[string]bool{"--json": j.env.json, "--quiet": j.env.quiet, "--v": j.env.verbose} {
		if set {
			args = append(args, flag)
		}
	}
	return execute(ctx, j.env, args)
}

func (j *downloadJob) path(file string) string { return filepath.Join(j.dir, filepath.FromSlash(file)) }

// fetch gets one file with progress.
func (j *downloadJob) fetch(ctx context.Context, file string) (*download.Result, error) {
	task := j.env.progress.Start("download "+file+":", "bytes", 0)
	defer task.Done()
	o := download.Options{
		SHA256: j.sum, MaxBytes: j.source.MaxBytes, Retries: j.retries,
		Progress: func(done, total int64) {
			task.SetTotal(total)
			task.Set(done, "")
		},
		Logf: func(format string, args ...any) { j.env.log.Warn(fmt.Sprintf(format, args...)) },
	}
	if j.source.Archive {
		o.Check = download.CheckZip
	}
	u := j.source.Base + "/" + file
	what := "download " + u
	if _, err := os.Stat(j.path(file)); err == nil {
		what = "check " + j.path(file) + ", which is there"
	}
	j.env.log.Info(what)
	return download.Fetch(ctx, u, j.path(file), o)
}

func (j *downloadJob) print(r *download.Result) error {
	if j.env.json {
		return j.env.printJSON(downloadLine{"download", j.source.Name, r.Path, r.Bytes, r.SHA256, r.Present, r.Resumed, r.Recorded})
	}
	how := "downloaded"
	if r.Present {
		how = "already complete"
	}
	if r.Recorded {
		how += ", digest recorded"
	} else {
		how += ", digest as expected"
	}
	return j.env.printf("%s: %s bytes, SHA-256 %s (%s)\n", r.Path, group(r.Bytes), r.SHA256, how)
}

// next is the command line that follows.
func (j *downloadJob) next() string {
	folder := filepath.Join(j.dir, j.source.Name)
	if !j.source.Archive {
		return "saint inspect " + shellQuote(folder)
	}
	return fmt.Sprintf("saint convert ogb --in %s --out %s", shellQuote(j.path(j.source.Files[0])), shellQuote(folder))
}

// byHand says how to get the data without this command.
func (j *downloadJob) byHand(err error) error {
	step := "and save it as " + j.path(j.source.Files[0])
	if !j.source.Archive {
		step = fmt.Sprintf("download the folder %s there, and put its files into %s", j.source.Name, filepath.Join(j.dir, j.source.Name))
	}
	return fmt.Errorf("download %s: %w. By hand: open %s in a browser (about %s), %s; then: %s",
		j.source.Name, err, j.source.Page, j.source.About, step, j.next())
}
