package download

import (
	"fmt"
	"strings"
)

// Where the public files are.
const (
	ogbBase   = "https://snap.stanford.edu/ogb/data/nodeproppred"
	saintPage = "https://drive.google.com/drive/folders/1zycmmDES39zVlbVCYs88JTJ1Wm5FbfLz"
)

// Source says where a data set is.
type Source struct {
	Name string
	// Base is the URL under which Files are; "" if they can only be fetched by hand from Page.
	Base string
	// Files are paths under Base, and under the folder that they are written to.
	Files []string
	// Archive says that the one file is an OGB archive that wants conversion; else Files are
	// the data folder itself.
	Archive bool
	// Page is what a person opens in a browser.
	Page string
	// About is the rough size of the download.
	About string
	// MaxBytes bounds each file, against servers that never stop sending.
	MaxBytes int64
}

const (
	mib = int64(1) << 20
	gib = int64(1) << 30
)

var sources = []Source{
	ogb("ogbn-arxiv", "arxiv.zip", "80 MB", gib),
	ogb("ogbn-proteins", "proteins.zip", "220 MB", 2*gib),
	ogb("ogbn-products", "products.zip", "1.4 GB", 8*gib),
	ogb("ogbn-papers100M", "papers100M-bin.zip", "57 GB", 200*gib),
	saint("ppi", "8 MB"),
	saint("ppi-large", "30 MB"),
	saint("flickr", "200 MB"),
	saint("reddit", "1.3 GB"),
	saint("yelp", "2 GB"),
	saint("amazon", "3 GB"),
}

func ogb(name, file, about string, most int64) Source {
	return Source{Name: name, Base: ogbBase, Files: []string{file}, Archive: true, Page: ogbBase + "/" + file, About: about, MaxBytes: most}
}

// saint is a data set of GraphSAINT's authors: five files in a folder of its own. They are
// shared through pages meant for people; a mirror serves them as NAME/FILE.
func saint(name, about string) Source {
	var files []string
	for _, f := range []string{"adj_full.npz", "adj_train.npz", "role.json", "class_map.json", "feats.npy"} {
		files = append(files, name+"/"+f)
	}
	return Source{Name: name, Files: files, Page: saintPage, About: about, MaxBytes: 16 * gib}
}

// Names returns the names of all data sets that can be had.
func Names() []string {
	var names []string
	for i := range sources {
		names = append(names, sources[i].Name)
	}
	return names
}

// Lookup returns the data set of that name; case and the kind of dash do not matter.
func Lookup(name string) (Source, error) {
	wanted := strings.ReplaceAll(name, "_", "-")
	for i := range sources {
		if strings.EqualFold(sources[i].Name, wanted) {
			return sources[i], nil
		}
	}
	if strings.EqualFold(wanted, "ogbn-mag") {
		return Source{}, fmt.Errorf("ogbn-mag has several kinds of nodes and edges, which GraphSAINT does not train on")
	}
	return Source{}, fmt.Errorf("unknown data set %q; there is %s", name, strings.Join(Names(), ", "))
}
