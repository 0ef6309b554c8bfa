// Package samplertest is the contract that every sampler must pass, a user's own included,
// and what its tests need: small graphs of every awkward kind and parameters from a map.
package samplertest
