// Package loadertest is the contract that every [loader.Source] must pass, local or remote,
// and what its tests need: a small configuration with known batches and samplers and
// feature stores that fail on command.
package loadertest
