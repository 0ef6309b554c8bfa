// Package fake is a CUDA driver without a GPU, for tests: kernels run in the interpreter of package
// ptx, on memory whose every access is checked.
//
// Work given to a stream does not run until something waits for it, and then no more of it than
// has to: other streams fall behind as far as events allow. With Options.Eager it runs at once
// instead. Code that orders its streams and keeps its host memory as it should gives the same
// results either way.
//
// Options.Order lets streams get further than they must, in the ways in which a GPU does: copies overtake
// kernels or stay behind them as far as events allow it. An order that is missing between streams shows
// as another result in one of them.
//
// The driver notices what a real one may let pass: memory freed twice or used after it was freed,
// host memory that changes or goes before it was copied, handles of nothing, waiting for a stream that is being
// captured, and whatever is left when a device is closed. What a download has not reached yet holds bytes of
// ptx.Unwritten. FailCall makes any call fail.
package fake
