package cpu

import "syscall"

// memoryTotal returns the bytes of main memory, 0 if the system does not say.
func memoryTotal() int64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
