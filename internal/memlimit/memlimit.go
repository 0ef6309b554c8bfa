// Package memlimit tells how much memory the process may use, for checks of sizes that files
// declare before anything is allocated.
package memlimit

import (
	"bytes"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
)

// assumed is the limit where the system does not tell.
const assumed = 8 << 30

// Bytes returns the bytes of memory that this process may use: the machine's, or less where
// its control group or one above says so. Where the system does not tell, it is 8 GiB. The
// answer is looked up once.
var Bytes = sync.OnceValue(func() int64 { return read(os.ReadFile) })

// read finds the limit in files that readFile returns.
func read(readFile func(string) ([]byte, error)) int64 {
	limit := int64(math.MaxInt64)
	for _, file := range limitFiles(readFile) {
		text, err := readFile(file)
		if err != nil {
			continue
		}
		if v, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64); err == nil && v > 0 {
			limit = min(limit, v)
		}
	}
	if text, err := readFile("/proc/meminfo"); err == nil {
		limit = min(limit, memTotal(text))
	}
	const noWord = 1 << 50 // version 1 control groups without a limit answer more than this
	if limit > noWord {
		return assumed
	}
	return limit
}

// limitFiles returns the files of the process's control group and all groups above it.
func limitFiles(readFile func(string) ([]byte, error)) []string {
	const v2, v1 = "/sys/fs/cgroup", "/sys/fs/cgroup/memory"
	files := []string{v2 + "/memory.max", v1 + "/memory.limit_in_bytes"}
	text, err := readFile("/proc/self/cgroup")
	if err != nil {
		return files
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		for group := path.Clean("/" + fields[2]); group != "/"; group = path.Dir(group) {
			switch fields[1] {
			case "":
				files = append(files, v2+group+"/memory.max")
			case "memory":
				files = append(files, v1+group+"/memory.limit_in_bytes")
			}
		}
	}
	return files
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
