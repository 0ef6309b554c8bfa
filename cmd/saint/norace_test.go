//go:build unix && !race

package main

// longRun is a number of epochs that lasts long enough to be interrupted, about a second.
const longRun = "120"

// raceEnabled: the race detector takes memory of its own.
const raceEnabled = false
