// Package suggest finds the known name that a mistyped one most likely means, for messages
// about unknown flags, keys, commands and data sets.
package suggest

import "strings"

// longest bounds the work on hostile input; no known name comes near it.
const longest = 64

// Nearest returns the known name with the fewest edits from word, the first of equals; if
// none is close (a third of the letters, at least two), one that word is the beginning of;
// else "".
func Nearest(word string, known []string) string {
	if len(word) > longest {
		return ""
	}
	best, dist := "", max(2, len(word)/3)+1
	for _, k := range known {
		if d := edits(word, k); d < dist && d < len(k) {
			best, dist = k, d
		}
	}
	for _, k := range known {
		if best == "" && len(word) > 2 && strings.HasPrefix(k, word) {
			best = k
		}
	}
	return best
}

// edits returns how many letters must be inserted, deleted, replaced or swapped with their
// neighbour to turn a into b (optimal string alignment).
func edits(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j-1]+cost, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
