// Package assemble builds data sets from what foreign formats hold: edges in any order,
// labels that may be missing, splits that may have to be drawn. The converters in the
// sibling packages parse; what they have in common stands here, so that the same graph
// gives the same data set whatever format it came in.
package assemble
