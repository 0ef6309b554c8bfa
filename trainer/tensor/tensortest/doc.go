// Package tensortest is the contract that every tensor.Backend fulfils: each operation
// against a plain float64 reference over odd, empty and strided shapes, what happens on
// errors, how arenas count, and that nothing depends on the number of threads.
//
// A backend runs it from its own tests:
//
//	func TestConformance(t *testing.T) { tensortest.Run(t, open) }
//
// The suite reaches device memory through Upload and Download alone.
package tensortest
