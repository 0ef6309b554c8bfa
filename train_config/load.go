package trainconfig

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/internal/fileop"
	"github.com/saint-gnn/saint/internal/suggest"
)

//go:embed table2/*.yml layers/*.yml exact/*.yml explore/*.yml open_graph_benchmark/*.yml demo/*.yml
var embedded embed.FS

// short names the embedded configurations that NAME.yml means for a data set.
var short = map[string]string{
	"ppi": "table2/ppi2_", "flickr": "table2/flickr2_", "reddit": "table2/reddit2_", "yelp": "table2/yelp2_",
	"amazon": "table2/amazon_2_", "tiny": "demo/tiny_", "ppi-large": "explore/ppi-large_",
}

// maxSize bounds a configuration file; the largest known one has less than 1 KiB.
const maxSize = 1 << 20

// Load resolves name and parses it: an existing path, else an embedded configuration
// ("table2/flickr2_rw.yml"), else NAME.yml through the data set ("rw.yml" for flickr).
// data is the data set's name, "flickr" or "synth:flickr-like". The configuration's Name
// says what was chosen.
func Load(name, data string) (*Config, error) {
	text, chosen, err := read(name, data)
	if err != nil {
		return nil, err
	}
	return Parse(chosen, text)
}

func read(name, data string) (text []byte, chosen string, err error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return nil, "", &Error{File: name, Msg: "is a folder, want a YAML file"}
	case err == nil:
		text, err = readFile(name)
	case errors.Is(err, fs.ErrNotExist):
		return readEmbedded(name, data)
	}
	switch {
	case err != nil:
		return nil, "", &Error{File: name, Msg: "cannot be read: " + cause(err)}
	case len(text) > maxSize:
		return nil, "", &Error{File: name, Msg: fmt.Sprintf("is too long, a configuration has at most %d bytes", maxSize)}
	}
	return text, name, nil
}

// readFile reads at most maxSize+1 bytes: devices and pipes do not tell their size, and may
// have no end.
func readFile(name string) ([]byte, error) {
	f, err := fileop.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	return io.ReadAll(io.LimitReader(f, maxSize+1))
}

// cause strips the path that os puts before its errors: Error names the file itself.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func readEmbedded(name, data string) (text []byte, chosen string, err error) {
	try := []string{path.Clean(strings.TrimPrefix(name, "train_config/"))}
	if prefix, ok := short[shortName(data)]; ok {
		try = append(try, prefix+name)
	}
	for _, t := range try {
		if text, err := embedded.ReadFile(t); err == nil {
			return text, t, nil
		}
	}
	msg := "no such file, and no embedded configuration of that name"
	if d := shortName(data); len(try) == 1 && d != "" && d != "." && !strings.Contains(name, "/") {
		msg += fmt.Sprintf(" (data %q has no short names)", d)
	}
	msg += didYouMean(try[len(try)-1])
	return nil, "", &Error{File: name, Msg: msg}
}

// shortName strips what does not distinguish data sets: "synth:flickr-like?seed=2" is flickr.
func shortName(data string) string {
	data, _, _ = strings.Cut(strings.ToLower(data), "?")
	data = strings.TrimPrefix(data, "synth:")
	return strings.TrimSuffix(data, "-like")
}

func didYouMean(name string) string {
	if near := suggest.Nearest(name, Names()); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return "; 'saint config list' shows them"
}

// Names returns the embedded configurations by path.
func Names() []string {
	var names []string
	err := fs.WalkDir(embedded, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		panic("trainconfig: embedded files: " + err.Error())
	}
	sort.Strings(names)
	return names
}

// SamplerJSON describes the sampler of a phase as compact JSON with sorted keys, as batches
// and norm caches record it.
func (p *Phase) SamplerJSON() string {
	m := map[string]any{"sampler": p.Sampler}
	for _, kv := range p.Params.foreign(phaseKeys{}) {
		if i, err := strconv.ParseInt(kv[1], 10, 64); err == nil {
			m[kv[0]] = i
		} else {
			m[kv[0]] = kv[1]
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		panic("trainconfig: " + err.Error())
	}
	return string(out)
}
