package cpu

// columnsJob adds sums over rows, kept per task, to where they belong. part holds for each
// task its sums one after the other: len(out) rows of cols.
type columnsJob struct {
	part  []float32
	tasks int
	cols  int
	out   [3][]float32 // nil: not wanted
}

const columnBlock = 256

// RunTask adds up a block of columns, task by task, in double precision.
func (j *columnsJob) RunTask(_, task int) {
	var acc [columnBlock]float64
	width := j.cols * len(j.out)
	for o, out := range j.out {
		if out == nil {
			continue
		}
		lo := task * columnBlock
		n := min(columnBlock, j.cols-lo)
		a := acc[:n]
		clear(a)
		for t := range j.tasks {
			p := j.part[t*width+o*j.cols+lo:][:n]
			for i, v := range p {
				a[i] += float64(v)
			}
		}
		out = out[lo : lo+n]
		for i, v := range a {
			out[i] = float32(float64(out[i]) + v)
		}
	}
}

// addColumns adds the tasks' sums to the three outs.
func (q *Queue) addColumns(part []float32, n, cols int, out0, out1, out2 []float32) {
	if out0 == nil && out1 == nil && out2 == nil {
		return
	}
	j := &q.columns
	j.part, j.tasks, j.cols = part, n, cols
	j.out = [3][]float32{out0, out1, out2}
	q.group.Do(tasks(cols, columnBlock), j)
}
