package saintdir

import (
	"sync/atomic"

	"github.com/saint-gnn/saint/formats"
)

// Opened is a data set as it lies in its folder, before standardisation. Features larger than
// Options.MaxResident stay in their file.
type Opened struct {
	// Raw has everything; Features are nil if they stay in their file.
	Raw *formats.RawDataset
	// Features hands out the rows, wherever they are. It is safe for concurrent use.
	Features formats.FeatureStore
	loader   loader
}

// Open reads and checks the data set in dir, except for the values of the features, which
// nobody has looked at yet. The caller must close it.
func Open(dir string, o Options) (*Opened, error) {
	o.setDefaults()
	d := &Opened{loader: loader{options: o}}
	raw, err := d.loader.load(dir, false)
	if err != nil {
		return nil, err
	}
	d.Raw = raw
	if d.loader.mapped != nil {
		d.Features = &passing{featureFile: d.loader.mapped}
	} else {
		d.Features = formats.NewMatrix(raw.Features, raw.Dim)
	}
	return d, nil
}

// Close releases the file; Features cannot be used any more.
func (d *Opened) Close() error {
	if d.loader.mapped == nil {
		return nil
	}
	return d.loader.mapped.Close()
}

// InFolder names the file at fault in an error of Prepare, Validate or what calls them.
func (d *Opened) InFolder(err error) error { return d.loader.inFolder(err) }

// passing reads rows without keeping what it has read in the memory of the process.
type passing struct {
	*featureFile
	touched atomic.Int64
}

// passingBytes is how much of the file is mapped in at a time, at most about.
const passingBytes = 64 << 20

// Gather copies row ids[i] to dst[i*Dim():].
func (p *passing) Gather(dst []float32, ids []int32) error {
	if err := p.featureFile.Gather(dst, ids); err != nil {
		return err
	}
	size := int64(len(dst) * p.Header().ItemSize)
	pieces := 1
	for i := 1; i < len(ids); i++ {
		if ids[i] != ids[i-1]+1 {
			pieces++
		}
	}
	if p.Header().Fortran {
		pieces *= p.dim
	}
	size += int64(pieces) * aroundBytes
	if p.touched.Add(size) >= passingBytes {
		p.touched.Store(0)
		p.AdviseDone()
	}
	return nil
}

// aroundBytes is what the system maps around a page that is touched.
const aroundBytes = 64 << 10
