// Package cpu is the backend that runs on the host's processors; importing it registers
// "cpu" with trainer/tensor.
//
// An operation has finished when its call returns. Every operation is cut into tasks by the
// shapes of its tensors alone, and sums over rows are kept per task and added in task order,
// so results are the same bits for any number of threads.
package cpu
