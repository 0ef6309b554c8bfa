package saintdir

import (
	"bytes"
	"math"
	"os"
	"strconv"
)

// memoryLimit returns the bytes of memory that this process may use: the machine's, or less
// where a control group says so. Where the system does not tell, it assumes 8 GiB.
func memoryLimit() int64 {
	limit := int64(math.MaxInt64)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if v, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil && v > 0 {
			limit = min(limit, v)
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		limit = min(limit, memTotal(text))
	}
	const noWord = 1 << 50 // version 1 control groups without a limit answer more than this
	if limit > noWord {
		return 8 << 30
	}
	return limit
}

// memTotal returns the bytes of the MemTotal line of /proc/meminfo.
func memTotal(meminfo []byte) int64 {
	for line := range bytes.Lines(meminfo) {
		fields := bytes.Fields(line)
		if len(fields) < 2 || string(fields[0]) != "MemTotal:" {
			continue
		}
		if kib, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil && kib > 0 && kib < math.MaxInt64>>10 {
			return kib << 10
		}
	}
	return math.MaxInt64
}
