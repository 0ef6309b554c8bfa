package ogb

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/fileop"
)

// The files of a set, relative to its folder.
const (
	edgeFile      = "raw/edge.csv.gz"
	nodeFeatFile  = "raw/node-feat.csv.gz"
	edgeFeatFile  = "raw/edge-feat.csv.gz"
	labelFile     = "raw/node-label.csv.gz"
	numNodesFile  = "raw/num-node-list.csv.gz"
	numEdgesFile  = "raw/num-edge-list.csv.gz"
	dataFile      = "raw/data.npz"
	labelDataFile = "raw/node-label.npz"
	splitPickle   = "split_dict.pt"
)

// heteroFiles are only in sets with several types of nodes.
var heteroFiles = []string{"raw/num-node-dict.csv.gz", "raw/triplet-type-list.csv.gz", "raw/relations", "raw/edge_index_dict.npz"}

// source is the folder of a set, on disk or in an archive.
type source struct {
	path   string // as the user named it
	prefix string // of names in messages
	fsys   fs.FS
	root   string // folder of the set below fsys; "." is fsys itself
	dir    string // path on disk; empty in an archive
	closer io.Closer
}

// openSource finds the folder that holds raw/ at path.
func openSource(name string) (*source, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, formats.BadInput(name, "no such folder or archive; --in wants the folder of a set, which holds raw and split, or its .zip")
	case err != nil:
		return nil, formats.BadInput(name, "%w", cause(err))
	case info.IsDir():
		s := &source{path: name, prefix: name, fsys: fileop.DirFS(name), root: ".", dir: name}
		return s, s.findRoot()
	case !info.Mode().IsRegular():
		return nil, formats.BadInput(name, "neither a folder nor a .zip archive")
	}
	z, err := zip.OpenReader(name)
	if err != nil {
		return nil, formats.BadInput(name, "not a zip archive, or one that is truncated: %w", cause(err))
	}
	s := &source{path: name, prefix: name, fsys: z, root: ".", closer: z}
	if err := s.findRoot(); err != nil {
		return nil, errors.Join(err, z.Close())
	}
	return s, nil
}

// findRoot looks for raw in the folder and in the folders of an archive.
func (s *source) findRoot() error {
	if s.has("raw") {
		return nil
	}
	var below []string
	entries, err := fs.ReadDir(s.fsys, ".")
	if err != nil {
		return formats.BadInput(s.path, "%w", cause(err))
	}
	for _, e := range entries {
		if info, err := fs.Stat(s.fsys, path.Join(e.Name(), "raw")); err == nil && info.IsDir() {
			below = append(below, e.Name())
		}
	}
	switch {
	case len(below) == 1 && s.dir == "":
		s.root, s.prefix = below[0], s.path+"/"+below[0]
		return nil
	case len(below) > 0:
		return formats.BadInput(s.path, "there is no raw here, but in %s; name that folder", strings.Join(below, " and in "))
	case s.has("processed"):
		return formats.BadInput(s.path, "the folder raw is missing and processed holds Python's own files; download the set again")
	}
	return formats.BadInput(s.path, "there is no raw here; the folder of a set holds raw and split")
}

// named returns what the name of the set can be recognised from, the best first.
func (s *source) named() []string {
	if s.root != "." {
		return []string{s.root, s.path}
	}
	if abs, err := filepath.Abs(s.path); err == nil {
		return []string{abs}
	}
	return []string{s.path}
}

func (s *source) close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// at returns the path of a file for messages.
func (s *source) at(name string) string {
	if s.dir != "" {
		return filepath.Join(s.dir, filepath.FromSlash(name))
	}
	return s.prefix + "/" + name
}

func (s *source) has(name string) bool {
	_, err := fs.Stat(s.fsys, path.Join(s.root, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// open opens a file and returns its size.
func (s *source) open(name string) (io.ReadCloser, int64, error) {
	f, err := s.fsys.Open(path.Join(s.root, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, formats.BadInput(s.at(name), "no such file; is the download complete?")
	}
	if err != nil {
		return nil, 0, formats.BadInput(s.at(name), "%w", cause(err))
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("is a folder, want a file")
	}
	if err != nil {
		return nil, 0, errors.Join(formats.BadInput(s.at(name), "%w", cause(err)), f.Close())
	}
	return f, info.Size(), nil
}

// binary reports whether the set is in binary form, after checking that all files of its
// form are there.
func (s *source) binary() (bool, error) {
	for _, name := range heteroFiles {
		if s.has(name) {
			return false, s.hetero()
		}
	}
	wanted := []string{edgeFile, labelFile, numNodesFile, numEdgesFile}
	binary := !s.has(edgeFile) && s.has(dataFile)
	if binary {
		wanted = []string{labelDataFile}
	}
	var missing []string
	for _, name := range wanted {
		if !s.has(name) {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) == 0:
		return binary, nil
	case slices.Contains(missing, edgeFile):
		return false, formats.BadInput(s.prefix, "neither %s nor %s is there; is the download complete?", edgeFile, dataFile)
	}
	return false, formats.BadInput(s.prefix, "missing: %s; is the download complete?", strings.Join(missing, ", "))
}

func (s *source) hetero() error {
	return formats.BadInput(s.prefix, "the set has several types of nodes and edges (as ogbn-mag has); GraphSAINT needs one type: export one relation as a CSV edge list and convert that")
}

// splits lists the folders below split.
func (s *source) splits() []string {
	var names []string
	entries, err := fs.ReadDir(s.fsys, path.Join(s.root, "split"))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// onDisk returns the path of a file that must be read at random; one in an archive is
// copied to the folder tmp first.
func (s *source) onDisk(name, tmp string, note func(string)) (string, error) {
	if s.dir != "" {
		return filepath.Join(s.dir, filepath.FromSlash(name)), nil
	}
	r, size, err := s.open(name)
	if err != nil {
		return "", err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	note(s.at(name) + ": unpacked to a temporary file first")
	target := filepath.Join(tmp, path.Base(name))
	f, err := fileop.Create(target)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, io.LimitReader(memberReader{r, s.at(name)}, size))
	return target, errors.Join(err, f.Close())
}

// memberReader makes failures to read a member mistakes in it: what it is copied to may fail,
// too.
type memberReader struct {
	io.Reader
	path string
}

func (r memberReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = formats.BadInput(r.path, "the archive is damaged here: %w", err)
	}
	return n, err
}

// cause strips the path that an error of the file system repeats.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
