package quant

// Few is the size of groups that have kernels of their own: many groups side by side.
const Few = 64

// PackGroups writes the codes of groups of Few values that follow one another in x, and their
// statistics as Stats16 packs them. The first takes its noise from number word on and each the next
// from Words(Few) further. stats has an element a group, scratch room for two.
// soon is as for PackAll.
func PackGroups(bits int, key, word uint64, x []float32, stats []int32, scratch []float32, soon Soon, dst []byte) {
	n := len(x) / Few
	x, stats, zero, inv, dst := x[:n*Few], stats[:n], scratch[:n], scratch[n:2*n], dst[:n*Bytes(bits, Few)]
	for i := describeASM(bits, x, stats, zero, inv); i < n; i++ {
		lo, hi := Range(x[i*Few:][:Few])
		p := Stats16(bits, lo, hi)
		stats[i] = int32(p)
		z, step := Split(p)
		zero[i], inv[i] = z, Inverse(step)
	}
	for i := packGroupsASM(bits, zero, inv, key, word, x, soon, dst); i < n; i++ {
		size := Bytes(bits, Few)
		Pack(bits, zero[i], inv[i], key, word+uint64(i)*Words(Few), x[i*Few:][:Few], dst[i*size:][:size])
	}
}

// UnpackGroups sets x to the values that PackGroups wrote.
func UnpackGroups(bits int, stats []int32, src []byte, x []float32) {
	n, size := len(x)/Few, Bytes(bits, Few)
	x, stats, src = x[:n*Few], stats[:n], src[:n*size]
	for i := unpackGroupsASM(bits, stats, src, x); i < n; i++ {
		zero, step := Split(uint32(stats[i]))
		Unpack(bits, zero, step, src[i*size:][:size], x[i*Few:][:Few])
	}
}
