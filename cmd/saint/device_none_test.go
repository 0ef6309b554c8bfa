//go:build !(cuda && linux && (amd64 || arm64))

package main

// What a build says that has no binding of the driver.
const gpuBuildSays = "built without CUDA: rebuild with make cuda"
