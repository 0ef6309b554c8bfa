// Package invariants switches on checks that are too dear for release builds: poisoned
// memory after a release, double-release panics, CSR checks at every stage. Code tests
// the constant [Enabled]; with it false the compiler removes the check.
package invariants
