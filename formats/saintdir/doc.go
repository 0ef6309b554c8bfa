// Package saintdir reads and writes data sets as folders of files: two sparse matrices, the
// roles and the labels of the nodes, and the feature matrix. docs/formats/data-folder.md
// describes every file.
//
// [Load] is what training wants: a checked, standardised [formats.Dataset]. [LoadRaw]
// returns the same data before standardisation, for conversion and inspection, and [Write]
// is its inverse. All errors about the content of a folder are *formats.InputError and name
// the file and, where there is one, the position.
package saintdir
