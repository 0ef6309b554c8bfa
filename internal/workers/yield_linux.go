package workers

import "syscall"

// yield lets other threads have the processor if there are any that wait for one. runtime.Gosched
// does not: it looks for goroutines, and those of another process are none.
func yield() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
