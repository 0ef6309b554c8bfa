// Package graphsage reads and writes the data sets of GraphSAGE (Hamilton et al.,
// NeurIPS 2017): NAME-G.json, a graph in networkx's node-link form whose nodes carry the
// flags val and test, NAME-id_map.json from node ids to rows, NAME-class_map.json from node
// ids to labels, and optionally NAME-feats.npy.
//
// All JSON is streamed through one buffer: files of many gigabytes need memory for the
// graph only. Both forms that networkx has written over the years are read: links under
// "links" or "edges", their ends as node ids or as positions in the list of nodes.
package graphsage
