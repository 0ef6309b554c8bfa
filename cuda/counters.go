package cuda

import (
	"sync/atomic"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// counters are those of a backend.
type counters struct {
	launches, uploads, uploadBytes, downloads, downloadBytes, waits, allocations, pageable, graphs, executables atomic.Int64
}

func (c *counters) upload(bytes int64) {
	c.uploads.Add(1)
	c.uploadBytes.Add(bytes)
}

func (c *counters) download(bytes int64) {
	c.downloads.Add(1)
	c.downloadBytes.Add(bytes)
}

// Counters returns what the device was given since the backend was opened.
func (b *Backend) Counters() tensor.Counters {
	c := &b.count
	return tensor.Counters{
		Launches: c.launches.Load(), Uploads: c.uploads.Load(), UploadBytes: c.uploadBytes.Load(), Downloads: c.downloads.Load(),
		DownloadBytes: c.downloadBytes.Load(), Waits: c.waits.Load(), Allocations: c.allocations.Load(), PageableBytes: c.pageable.Load(),
		Graphs: c.graphs.Load(), Executables: c.executables.Load(),
	}
}
