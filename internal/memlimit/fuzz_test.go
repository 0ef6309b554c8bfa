package memlimit

import (
	"io/fs"
	"strings"
	"testing"
)

// FuzzRead reads any text in place of the system's files: there always is a limit, one that
// some file gives or the assumed one, and no more of it than in any file alone.
func FuzzRead(f *testing.F) {
	f.Add([]byte("MemTotal:       16384 kB\n"), []byte("0::/user.slice/a\n"), []byte("max\n"), []byte("1048576\n"))
	f.Add([]byte("MemTotal: 9007199254740991 kB\nMemFree: 1 kB\n"), []byte("4:memory:/docker/x\n3:cpu:/\n"), []byte("9223372036854771712\n"), []byte("-1\n"))
	f.Add([]byte("MemTotal:"), []byte("0::/../..\n:::"), []byte(""), []byte("1e9"))
	f.Fuzz(func(t *testing.T, meminfo, groups, root, group []byte) {
		limit := func(meminfo, groups, root, group []byte) int64 {
			return read(func(path string) ([]byte, error) {
				switch {
				case path == "/proc/meminfo":
					return meminfo, nil
				case path == "/proc/self/cgroup":
					return groups, nil
				case !strings.HasPrefix(path, "/sys/fs/cgroup/"):
					t.Fatalf("%q is asked for", path)
				case strings.Count(path, "/") == 4, strings.HasSuffix(path, "memory/memory.limit_in_bytes"):
					return root, nil
				case strings.HasSuffix(path, "/memory.max"), strings.HasSuffix(path, "/memory.limit_in_bytes"):
					return group, nil
				}
				return nil, fs.ErrNotExist
			})
		}
		all := limit(meminfo, groups, root, group)
		if all <= 0 || all > 1<<50 {
			t.Fatalf("limit %d", all)
		}
		for _, one := range []int64{limit(meminfo, nil, nil, nil), limit(nil, nil, root, nil), limit(nil, groups, nil, group)} {
			if one != assumed && all > one {
				t.Fatalf("limit %d, but a file alone says %d", all, one)
			}
		}
	})
}
