// Package fileop opens, makes, renames and removes files for everything that reads or
// writes data. It calls the system and nothing else, unless the build tag invariants is set:
// then [Inject] lets a test refuse any operation, so that full disks, missing permissions
// and failing devices can be tried at every single call.
package fileop
