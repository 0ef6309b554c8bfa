// Package synth generates data sets: a graph with communities and a power-law degree
// distribution, labels that follow the communities and features that hint at them.
//
// The model is a degree-corrected stochastic block model (Karrer and Newman,
// arXiv:1008.3926). Every node has a community and an expected degree; an edge's first end
// comes from the expected degrees, its second end from the same community with
// probability [Preset.Within] and from the whole graph otherwise. Labels are those of the
// community except for a share of noise that no model can predict, and features are the
// community's mean plus unit noise, so that a model that averages over neighbours sees the
// community far better than one that looks at a single node.
//
// [Presets] lists the data sets; those named after a real one have its size, split and
// label kind and come close to the number of nodes and edges of its sampled subgraphs.
// [Generate] makes one from its name and a seed, [Load] from a spec such as
// "synth:tiny?seed=7".
//
// The same preset and seed give the same bytes on every machine: work is cut into blocks of
// fixed size, each with its own random stream, draws are made of integers, and floating
// point is limited to operations that IEEE 754 rounds exactly.
package synth
