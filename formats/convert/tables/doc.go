// Package tables reads and writes data sets as a table of nodes and a table of edges in
// Apache Parquet or Arrow IPC files, for pandas, Polars, DuckDB, Spark and the like.
//
// nodes has the columns node_id (0…N-1), role (tr, va, te or null), label (null: none) or
// labels (0/1 lists) and features (lists of float32). edges has src, dst (dst aggregates
// from src), weight if the graph has weights, and train, which marks the edges of the
// training graph. docs/convert.md describes them.
package tables
