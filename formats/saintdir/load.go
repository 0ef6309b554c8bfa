package saintdir

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/memlimit"
)

// Options say how to load a folder. The zero value loads an unweighted graph and keeps the
// features in memory if they take at most half of what the process may use.
type Options struct {
	// EdgeWeight keeps the values of the matrices as Graph.Weights; without it every stored
	// entry is an edge that counts as 1, whatever its value.
	EdgeWeight bool
	// MaxResident is the greatest size in bytes, as float32, of a feature matrix that is
	// read into memory. A greater one stays in its file, mapped, and is standardised as rows
	// are read. 0: half of the memory that the process may use; negative: always mapped.
	MaxResident int64
	// Half rounds standardised features to half precision, which takes half the memory: those in
	// memory never lie there in single precision, unless the file is in Fortran order. Rounded, if
	// not nil, is told how far that moved those in memory.
	Half    bool
	Rounded func(formats.Rounding)
	// Warn is told what is odd but usable, a line each, in an order that depends on the
	// folder alone. It may be nil.
	Warn func(string)
	// Logf is told what was loaded and how long it took. It may be nil.
	Logf func(format string, args ...any)
}

func (o *Options) setDefaults() {
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.MaxResident == 0 {
		o.MaxResident = memlimit.Bytes() / 2
	}
}

// Load reads, checks and prepares the data set in dir. Its Close must be called, if it is
// not nil, when nobody reads features any more. Files are read concurrently; with several
// mistakes the error is always the same one: roles before labels before graphs before
// features, each file by itself before files are compared.
func Load(dir string, o Options) (*formats.Dataset, error) {
	o.setDefaults()
	l := loader{options: o}
	raw, err := l.load(dir, false)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	ds, err := l.prepare(raw)
	if err != nil {
		l.close()
		return nil, l.inFolder(err)
	}
	if l.mapped != nil {
		l.mapped.AdviseRandom()
		ds.Close = l.mapped.Close
	}
	o.Logf("%s: checked, standardised and fingerprinted in %.2f s", dir, time.Since(start).Seconds())
	return ds, nil
}

// prepare standardises the features and, if asked for, rounds them.
func (l *loader) prepare(raw *formats.RawDataset) (ds *formats.Dataset, err error) {
	if l.mapped == nil {
		ds, err = raw.Prepare()
	} else {
		ds, err = raw.PrepareFrom(l.mapped)
	}
	if err != nil || !l.options.Half {
		return ds, err
	}
	if l.mapped != nil && l.mapped.bytes()/2 > l.options.MaxResident {
		ds.Features, err = formats.Halved(ds.Features)
		return ds, err
	}
	x, rounding, err := formats.Halve(ds.Features)
	if err != nil {
		return nil, err
	}
	if l.options.Rounded != nil {
		l.options.Rounded(rounding)
	}
	ds.Features = x
	if l.mapped != nil {
		err = l.mapped.Close()
		l.mapped = nil
	}
	return ds, err
}

// LoadRaw reads and checks the data set in dir without standardising it. Features are
// always read into memory; MaxResident is not used.
func LoadRaw(dir string, o Options) (*formats.RawDataset, error) {
	o.setDefaults()
	l := loader{options: o}
	raw, err := l.load(dir, true)
	if err != nil {
		return nil, err
	}
	if err := raw.Validate(); err != nil {
		return nil, l.inFolder(err)
	}
	return raw, nil
}

// loader holds what one load has read so far.
type loader struct {
	options     Options
	files       folder
	roles       *roleSet
	labels      *labelSet
	full, train *adjacency
	feats       *featureFile
	matrix      []float32    // the features, or
	mapped      *featureFile // where they stay
}

// load reads all files and compares them with each other. After an error nothing is open.
func (l *loader) load(dir string, resident bool) (*formats.RawDataset, error) {
	start := time.Now()
	var err error
	if l.files, err = findFiles(dir, l.options.Warn); err != nil {
		return nil, err
	}
	if err := l.read(resident); err != nil {
		l.close()
		return nil, err
	}
	raw, err := l.assemble()
	if err != nil {
		l.close()
		return nil, err
	}
	raw.Name = folderName(dir)
	l.warn()
	l.options.Logf("%s: %d nodes, %d edges, %d features, %d classes read in %.2f s", dir,
		raw.Full.NumNodes(), raw.Full.NumEdges(), l.feats.dim, raw.Labels.NumClasses, time.Since(start).Seconds())
	return raw, nil
}

// folderName returns the last element of dir's absolute path.
func folderName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
}

// read reads every file by itself, all at once. The order of the errors is fixed.
func (l *loader) read(resident bool) error {
	var errs [5]error
	var wg conc.WaitGroup
	wg.Go(func() { l.roles, errs[0] = readRoles(l.files.role) })
	wg.Go(func() { l.labels, errs[1] = readLabels(l.files.labels) })
	wg.Go(func() { l.full, errs[2] = readGraph(l.files.full, l.options.EdgeWeight) })
	wg.Go(func() { l.train, errs[3] = readGraph(l.files.train, l.options.EdgeWeight) })
	wg.Go(func() { errs[4] = l.readFeatures(resident) })
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func readRoles(path string) (*roleSet, error) {
	if filepath.Base(path) == roleFileNPZ {
		return readRolesNPZ(path)
	}
	return readRolesJSON(path)
}

func readLabels(path string) (*labelSet, error) {
	if filepath.Base(path) == labelFileNPY {
		return readLabelArray(path)
	}
	return readClassMap(path)
}

// readFeatures reads the matrix into memory or leaves it mapped.
func (l *loader) readFeatures(resident bool) error {
	var err error
	if l.feats, err = openFeatures(l.files.features); err != nil {
		return err
	}
	half := l.options.Half && !l.feats.Header().Fortran
	if !resident && (half || l.feats.bytes() > l.options.MaxResident) {
		l.mapped = l.feats
		return nil
	}
	l.matrix, err = l.feats.read(featureSegment)
	return err
}

// close releases what is mapped.
func (l *loader) close() {
	if l.mapped != nil {
		_ = l.mapped.Close() // opened for reading; an earlier error is the one that matters
	}
}

// assemble compares the files with each other and puts the data set together.
func (l *loader) assemble() (*formats.RawDataset, error) {
	n := l.full.NumNodes()
	if m := l.train.NumNodes(); m != n {
		return nil, badFile(l.train.path, "matrix is %d x %d, but that of %s is %d x %d", m, m, fullFile, n, n)
	}
	if err := l.roles.checkRange(n); err != nil {
		return nil, err
	}
	if size := int64(n) * int64(l.labels.classes); size > memlimit.Bytes() {
		return nil, badFile(l.labels.path, "%d classes for %d nodes need %d bytes, more than this process may use",
			l.labels.classes, n, size)
	}
	labels, err := l.labels.place(n, l.roles)
	if err != nil {
		return nil, err
	}
	if l.feats.rows != n {
		return nil, badFile(l.feats.path, "%d rows, but %s has %d nodes", l.feats.rows, fullFile, n)
	}
	return &formats.RawDataset{
		Full: l.full.Graph, Train: l.train.Graph, Features: l.matrix, Dim: l.feats.dim, Labels: labels,
		TrainNodes: l.roles.nodes[0], ValNodes: l.roles.nodes[1], TestNodes: l.roles.nodes[2],
	}, nil
}

// inFolder names the file of the part that Prepare or Validate found to be wrong.
func (l *loader) inFolder(err error) error {
	var part *formats.PartError
	if !errors.As(err, &part) {
		return err
	}
	return &formats.InputError{Path: l.files.fileOf(part.Part), Offset: -1, Err: part.Err}
}

// warn reports what is odd but usable.
func (l *loader) warn() {
	warn := func(path, format string, args ...any) {
		l.options.Warn(path + ": " + fmt.Sprintf(format, args...))
	}
	if l.labels.warning != "" {
		warn(l.labels.path, "%s", l.labels.warning)
	}
	for _, a := range []*adjacency{l.full, l.train} {
		if a.merged > 0 {
			warn(a.path, "%d entries repeat an edge and were merged with it", a.merged)
		}
	}
	if missing, v, u := l.train.notIn(l.full); missing > 0 {
		warn(l.train.path, "%d edges are not in %s, the first is (%d, %d)", missing, fullFile, v, u)
	}
	if l.train.NumEdges() == 0 {
		warn(l.train.path, "no edges, so every sampled subgraph is without edges")
	}
	if f := l.mapped; f != nil && f.Header().Fortran {
		warn(f.path, "the matrix is larger than memory and in Fortran order, which makes every row slow to read; store it in C order")
	}
}
