package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/remote"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/trainer"
)

// maxCredential bounds the files of tokens, keys and certificates.
const maxCredential = 1 << 20

// sourceOptions are the flags of train that name a sampling service.
type sourceOptions struct {
	URL                 string
	CA, Cert, Key       string
	TokenFile           string
	hosts               []string
	secure              bool
	tls                 *tls.Config
	token, graph, named string // graph fingerprint; name of the data set there
}

func sourceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "source", Usage: "take the subgraphs from a sampling service: `URL` grpc://host:port[,host2…], or grpcs:// with TLS", DefaultText: "sample here"},
		&cli.StringFlag{Name: "source_ca", Usage: "`FILE` with the authorities (PEM) that vouch for the service", DefaultText: "the system's"},
		&cli.StringFlag{Name: "source_cert", Usage: "`FILE` with a certificate (PEM) to show to the service"},
		&cli.StringFlag{Name: "source_key", Usage: "`FILE` with its private key (PEM)"},
		&cli.StringFlag{Name: "source_token_file", Usage: "`FILE` with the service's token"},
	}
}

func sourceFrom(c *cli.Context) sourceOptions {
	return sourceOptions{
		URL: c.String("source"), CA: c.String("source_ca"), Cert: c.String("source_cert"), Key: c.String("source_key"),
		TokenFile: c.String("source_token_file"),
	}
}

// check reads the credentials.
func (o *sourceOptions) check(log *slog.Logger) (err error) {
	if o.URL == "" {
		if o.CA+o.Cert+o.Key+o.TokenFile != "" {
			return usagef("--source_ca, --source_cert, --source_key and --source_token_file need --source")
		}
		return nil
	}
	if o.hosts, o.secure, err = remote.ParseSource(o.URL); err != nil {
		return usagef("--source: %v; want grpc://host:port[,host2…] or grpcs://…", err)
	}
	if o.token, err = readToken("source_token_file", o.TokenFile, log); err != nil {
		return err
	}
	if !o.secure {
		if o.CA+o.Cert+o.Key != "" {
			return usagef("--source_ca, --source_cert and --source_key are for grpcs://, --source is %s", o.URL)
		}
		return nil
	}
	o.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		if o.tls.RootCAs, err = readAuthorities("source_ca", o.CA); err != nil {
			return err
		}
	}
	if o.Cert != "" || o.Key != "" {
		pair, err := readPair("source_cert", o.Cert, "source_key", o.Key)
		if err != nil {
			return err
		}
		o.tls.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// config describes the batches of a phase as the service must deliver them.
func (j *job) sourceConfig(c *loader.Config) remote.Config {
	o := &j.Source
	m := c.Meta(o.named, j.config.Phases[c.Phase].SamplerJSON())
	m.EdgeIDs = false
	m.Data = j.data.Fingerprint
	m.Norm = trainer.NormKey(j.config, c.Phase, o.graph, trainer.NormOptions(j.config, c.Phase, c.Seed))
	return remote.Config{
		Hosts: o.hosts, TLS: o.tls, Token: o.token, Meta: m, From: c.From, To: c.To, Shard: c.Shard, Shards: c.Shards,
		Symmetric: c.Symmetric, Prefetch: c.Prefetch, SharedFolder: remote.SharedFolder, Log: j.env.log,
	}
}

// findSource asks the service for the data before anything is written.
func (j *job) findSource(ctx context.Context) (err error) {
	o := &j.Source
	if o.URL == "" {
		return nil
	}
	c := remote.Config{Hosts: o.hosts, TLS: o.tls, Token: o.token}
	c.Meta.Data = j.data.Fingerprint
	if o.named, err = remote.Find(ctx, c); err != nil {
		return fmt.Errorf("--source: %w", err)
	}
	o.graph = samplers.Env{Graph: trainer.TrainingGraph(j.config, j.data), Train: j.data.TrainNodes}.Fingerprint()
	c.Meta.Dataset, c.Meta.Seed = o.named, j.Seed
	for i := range j.config.Phases {
		c.Meta.Phase, c.Meta.Sampler = i, j.config.Phases[i].SamplerJSON()
		c.Meta.Norm = trainer.NormKey(j.config, i, o.graph, trainer.NormOptions(j.config, i, j.Seed))
		if err := remote.Check(ctx, c); err != nil {
			return fmt.Errorf("--source: %w", err)
		}
	}
	j.env.log.Info("subgraphs come from " + o.URL)
	return nil
}

// openSource reads the batches of a phase from the service.
func (j *job) openSource(ctx context.Context, c loader.Config) (loader.Source, error) {
	rc := j.sourceConfig(&c)
	// The wait for the normalisation counts as that, and not as one for the first batch. A
	// service that does not answer is tried again by the stream.
	if info, err := remote.WaitNorm(ctx, rc); err == nil {
		j.env.log.Info("normalisation of the service", "phase", info.Phase, "subgraphs", info.Subgraphs, "seconds", info.Seconds)
	} else if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return remote.Open(ctx, rc)
}

// readCredential reads a small file that a flag names.
func readCredential(flag, path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("--%s %s: no such file", flag, path)
	}
	if err != nil {
		return nil, usagef("--%s: %v", flag, err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, maxCredential+1))
	switch {
	case err != nil:
		return nil, usagef("--%s: %v", flag, err)
	case len(data) > maxCredential:
		return nil, usagef("--%s %s: more than %d bytes, want a token, key or certificate", flag, path, maxCredential)
	}
	return data, nil
}

// readToken reads a token from the file that a flag names; "" names none.
func readToken(flag, path string, log *slog.Logger) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := readCredential(flag, path)
	if err != nil {
		return "", err
	}
	token := string(bytes.TrimSpace(data))
	if err := remote.CheckToken(token); err != nil {
		return "", formats.BadInput(path, "%v", err)
	}
	if info, err := os.Stat(path); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		log.Warn(fmt.Sprintf("--%s %s can be read by other users: chmod 600 %s", flag, path, path))
	}
	return token, nil
}

func readPair(certFlag, cert, keyFlag, key string) (tls.Certificate, error) {
	if cert == "" || key == "" {
		return tls.Certificate{}, usagef("--%s and --%s need each other", certFlag, keyFlag)
	}
	certPEM, err := readCredential(certFlag, cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readCredential(keyFlag, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, formats.BadInput(cert, "no certificate that goes with %s: %v", key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return pair, nil
}

func readAuthorities(flag, path string) (*x509.CertPool, error) {
	data, err := readCredential(flag, path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, formats.BadInput(path, "holds no certificate in PEM form")
	}
	return pool, nil
}

// serverTLS returns nil where no certificate is given.
func serverTLS(cert, key, clientCA string) (*tls.Config, error) {
	if cert == "" && key == "" {
		if clientCA != "" {
			return nil, usagef("--tls_client_ca needs --tls_cert and --tls_key")
		}
		return nil, nil
	}
	pair, err := readPair("tls_cert", cert, "tls_key", key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if clientCA != "" {
		if config.ClientCAs, err = readAuthorities("tls_client_ca", clientCA); err != nil {
			return nil, err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}
