package saintdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/saint-gnn/saint/formats"
)

// The files of a folder. Of roles and labels there are two forms; the first is preferred.
const (
	fullFile     = "adj_full.npz"
	trainFile    = "adj_train.npz"
	roleFile     = "role.json"
	roleFileNPZ  = "role.npz"
	labelFile    = "class_map.json"
	labelFileNPY = "labels.npy"
	featsFile    = "feats.npy"
)

// knownNames are the data sets that the download command knows.
var knownNames = []string{
	"ppi", "ppi-large", "flickr", "reddit", "yelp", "amazon",
	"ogbn-products", "ogbn-arxiv", "ogbn-proteins", "ogbn-papers100M", "ogbn-mag",
}

// badFile returns an error about a whole file.
func badFile(path, format string, args ...any) error { return formats.BadInput(path, format, args...) }

// inFile makes sure that err names path, once.
func inFile(path string, err error) error {
	var in *formats.InputError
	if errors.As(err, &in) {
		return err
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return &formats.InputError{Path: path, Offset: -1, Err: err}
}

// folder is the set of paths that a load reads.
type folder struct {
	full, train, role, labels, features string
}

// findFiles verifies that dir is a folder with all files, and chooses between forms.
func findFiles(dir string, warn func(string)) (folder, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return folder{}, missingFolder(dir)
	case err != nil:
		return folder{}, inFile(dir, err)
	case !info.IsDir():
		return folder{}, badFile(dir, "not a folder; a data set is a folder that holds %s", wantedFiles)
	}
	var missing []string
	pick := func(names ...string) string {
		var found []string
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
				found = append(found, name)
			}
		}
		if len(found) == 0 {
			missing = append(missing, strings.Join(names, " or "))
			return ""
		}
		if len(found) > 1 {
			warn(fmt.Sprintf("%s: both %s and %s are there; %s is used", dir, found[0], found[1], found[0]))
		}
		return filepath.Join(dir, found[0])
	}
	f := folder{
		full: pick(fullFile), train: pick(trainFile), role: pick(roleFile, roleFileNPZ),
		labels: pick(labelFile, labelFileNPY), features: pick(featsFile),
	}
	const parts = 5
	switch len(missing) {
	case 0:
	case parts:
		return folder{}, badFile(dir, "not a data folder, which holds %s; 'saint convert' makes one of other formats", wantedFiles)
	default:
		return folder{}, badFile(dir, "the folder lacks %s; a data set is a folder that holds %s",
			strings.Join(missing, ", "), wantedFiles)
	}
	for _, path := range []string{f.role, f.labels, f.full, f.train, f.features} {
		if info, err := os.Stat(path); err != nil {
			return folder{}, inFile(path, err)
		} else if !info.Mode().IsRegular() {
			return folder{}, badFile(path, "not a regular file")
		}
	}
	return f, nil
}

const wantedFiles = fullFile + ", " + trainFile + ", " + roleFile + " (or " + roleFileNPZ + "), " +
	labelFile + " (or " + labelFileNPY + ") and " + featsFile

// missingFolder says how to get a folder that is not there.
func missingFolder(dir string) error {
	name := strings.ToLower(filepath.Base(dir))
	i := slices.IndexFunc(knownNames, func(known string) bool { return strings.ToLower(known) == name })
	if i < 0 {
		return badFile(dir, "no such folder; a data set is a folder that holds %s", wantedFiles)
	}
	return badFile(dir, "no such folder; get the data with: saint download %s", knownNames[i])
}

// fileOf returns the file that a part of the data set came from.
func (f *folder) fileOf(p formats.Part) string {
	switch p {
	case formats.PartFull:
		return f.full
	case formats.PartTrain:
		return f.train
	case formats.PartRoles:
		return f.role
	case formats.PartLabels:
		return f.labels
	default:
		return f.features
	}
}
