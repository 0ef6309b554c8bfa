package memlimit

import (
	"os"
	"testing"
)

func TestMemTotal(t *testing.T) {
	if got := memTotal([]byte("Foo: 1 kB\nMemTotal:       1024 kB\n")); got != 1<<20 {
		t.Errorf("memTotal = %d, want %d", got, 1<<20)
	}
	for _, text := range []string{"", "MemTotal:", "MemTotal: x kB", "MemTotal: -1 kB", "MemTotal: 9223372036854775807 kB"} {
		if got := memTotal([]byte(text)); got != 1<<63-1 {
			t.Errorf("memTotal(%q) = %d, want no limit", text, got)
		}
	}
}

func TestRead(t *testing.T) {
	const mem = "MemTotal: 1048576 kB\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing known", nil, assumed},
		{"machine", map[string]string{"/proc/meminfo": mem}, 1 << 30},
		{"root group", map[string]string{"/proc/meminfo": mem, "/sys/fs/cgroup/memory.max": "1000\n"}, 1000},
		{"no limit", map[string]string{"/proc/meminfo": mem, "/sys/fs/cgroup/memory.max": "max\n"}, 1 << 30},
		{"nested group", map[string]string{
			"/proc/meminfo": mem, "/proc/self/cgroup": "0::/a.slice/b.scope\n", "/sys/fs/cgroup/a.slice/memory.max": "5000\n",
			"/sys/fs/cgroup/a.slice/b.scope/memory.max": "max\n",
		}, 5000},
		{"version 1", map[string]string{
			"/proc/meminfo": mem, "/proc/self/cgroup": "3:cpu:/x\n2:memory:/x/y\n", "/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes": "7000\n",
			"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 7000},
		{"version 1 without a limit", map[string]string{"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, assumed},
		{"odd group file", map[string]string{"/proc/meminfo": mem, "/proc/self/cgroup": "what\n0::../..\n\n"}, 1 << 30},
	} {
		got := read(func(name string) ([]byte, error) {
			if text, ok := tt.files[name]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		})
		if got != tt.want {
			t.Errorf("%s: read = %d, want %d", tt.name, got, tt.want)
		}
	}
	if got := Bytes(); got < 1<<20 {
		t.Errorf("Bytes() = %d, want at least a megabyte", got)
	}
}
