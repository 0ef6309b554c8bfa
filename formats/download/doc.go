// Package download fetches public data sets over HTTP. [Lookup] knows where they are, [Fetch]
// gets one file: resumed where an earlier try stopped, checked for its length and against the
// SHA-256 that the first success recorded beside it, and never mistaken for a web page that a
// server sends in place of a file. A file under its own name is complete; what is still
// growing ends in ".part".
package download
