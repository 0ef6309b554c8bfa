// Package optim updates parameters from their gradients. One step is one pass over the
// device's queue: clipping by the global norm reads the norm on the device, so no step waits
// for the host.
package optim
