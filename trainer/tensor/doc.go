// Package tensor is the one seam between layers and devices. Layers, losses and optimizers
// see only these types; a [Backend] implements them for one device. Below the seam nothing
// knows graphs or layers, above it nothing knows devices.
//
// Operations are eager and ordered by a [Queue]; memory of one step comes from an [Arena].
// The tensortest package is the conformance suite every backend must pass.
package tensor
