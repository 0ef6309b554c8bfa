package main

import "strings"

// didYouMean returns the words that follow an unknown name, "" without a suggestion.
func didYouMean(prefix, name string) string {
	if name == "" {
		return ""
	}
	return ", did you mean " + prefix + name + "?"
}

// nearest returns the known name that a mistyped one most likely means: the one with the
// fewest edits, else one that the word begins; "" if none is close.
func nearest(word string, known []string) string {
	best, dist := "", max(1, len(word)/3)+1
	for _, k := range known {
		if d := edits(word, k); d < dist {
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
