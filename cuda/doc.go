// Package cuda finds the NVIDIA GPUs of a machine through their driver.
//
// The binding is part of builds with -tags cuda (make cuda) only; these too start on machines
// without a driver, where Devices says what is missing. In other builds it says how to get one.
//
// The kernels are in package kernels as PTX text, which the driver compiles for its GPU. Nothing
// here has run on a GPU yet: kernels are checked by interpreting the PTX (internal/ptx), the
// calls of the driver by a fake one (internal/fake).
package cuda
