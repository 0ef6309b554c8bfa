//go:build cuda && linux && (amd64 || arm64)

package main

// What a build with the binding says where the driver is missing.
const gpuBuildSays = "libcuda.so.1"
