// Package samplers draws the subgraphs of GraphSAINT (arXiv:1907.04931) and estimates the
// coefficients that make minibatch training unbiased.
//
// A [Sampler] draws node sets; [Draw] turns one into the induced [formats.Subgraph];
// [EstimateNorm] counts nodes and edges over many subgraphs and gives the [Norm] whose
// Apply fills AdjNorm and LossNorm. A sampler is one file: a type, a factory and an init
// function that calls [Register]. The samplertest package is the contract it must pass.
//
// Sample i of a phase is a function of (graph, parameters, seed, phase, i) alone; see
// [Stream].
package samplers
