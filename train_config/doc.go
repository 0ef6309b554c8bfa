// Package trainconfig reads GraphSAINT training configurations: YAML files with the three
// lists network, params and phase. Reading is strict: every key must be known to somebody,
// and every error names file, line and column.
//
// [Load] resolves a name (a path, an embedded configuration, or a short name through the
// data set) and [Parse] reads it. A [Section] holds the keys that belong to a sampler or a
// layer until their owner decodes them; [Config.CheckUsed] then reports keys nobody knew.
//
// The folder's name is train_config because that is what users type; Go package names have
// no underscore.
package trainconfig
