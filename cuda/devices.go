package cuda

import (
	"errors"
	"fmt"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Info describes a GPU.
type Info struct {
	Index          int     `json:"index"`
	Name           string  `json:"name"`
	UUID           string  `json:"uuid,omitempty"`
	Compute        string  `json:"compute_capability"` // for example "9.0"
	SMs            int     `json:"multiprocessors"`
	TotalBytes     int64   `json:"memory_bytes"`
	FreeBytes      int64   `json:"free_bytes"`
	Bandwidth      float64 `json:"peak_bytes_per_s,omitempty"` // by clock and bus width, where the driver tells them
	L2Bytes        int     `json:"l2_bytes"`
	SharedPerBlock int     `json:"shared_bytes_per_block"`
	Trouble        string  `json:"trouble,omitempty"` // why it cannot be used; "" if it can
}

// Machine is what the driver says of a machine.
type Machine struct {
	Driver string `json:"driver"` // the newest CUDA version that it speaks, for example "12.4"
	GPUs   []Info `json:"gpus"`
}

// Devices lists the GPUs that the driver shows. The error says in one line why there are none that can
// be used; it wraps [tensor.ErrUnavailable].
func Devices() (Machine, error) {
	drv, err := openDriver()
	if err != nil {
		return Machine{}, unavailable(err)
	}
	return devices(drv)
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", tensor.ErrUnavailable, err) }

func devices(drv driver.Driver) (Machine, error) {
	m := Machine{Driver: versionText(drv.Version())}
	n, err := drv.Devices()
	if err != nil {
		return m, unavailable(err)
	}
	if n == 0 {
		return m, unavailable(errNoGPUs)
	}
	usable := 0
	for i := range n {
		info, err := infoOf(drv, i)
		if err != nil {
			info.Index, info.Trouble = i, err.Error()
		} else {
			usable++
		}
		m.GPUs = append(m.GPUs, info)
	}
	if usable == 0 {
		return m, unavailable(fmt.Errorf("GPU 0: %s", m.GPUs[0].Trouble))
	}
	return m, nil
}

var errNoGPUs = errors.New("the CUDA driver is there but shows no GPU: is CUDA_VISIBLE_DEVICES set?")

func versionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

func infoOf(drv driver.Driver, i int) (Info, error) {
	p, err := drv.Properties(i)
	if err != nil {
		return Info{}, err
	}
	info := Info{
		Index: i, Name: p.Name, UUID: p.UUID, Compute: fmt.Sprintf("%d.%d", p.Major, p.Minor), SMs: p.SMs, TotalBytes: p.TotalBytes,
		// Two transfers a clock.
		Bandwidth: 2e3 * float64(p.MemoryClockKHz) * float64(p.MemoryBusBits) / 8,
		L2Bytes:   p.L2Bytes, SharedPerBlock: max(p.SharedOptIn, p.SharedPerBlock),
	}
	dev, err := drv.Open(i)
	if err != nil {
		return info, err
	}
	if info.FreeBytes, _, err = dev.MemInfo(); err != nil {
		dev.Close() //nolint:errcheck // the first error is the cause
		return info, err
	}
	return info, dev.Close()
}
