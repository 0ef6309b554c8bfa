// Package safetensors reads and writes safetensors files, the container of checkpoints:
// named tensors behind a JSON header, loadable from PyTorch, JAX and NumPy without running
// code. docs/formats/checkpoint.md shows the bytes.
//
// [WriteFile] writes tensors made with constructors such as [Float32]; equal content gives
// equal bytes. [Open] maps a file, checks all of its header and hands out tensors as views.
// What is wrong with a file comes back as a *formats.InputError.
package safetensors
