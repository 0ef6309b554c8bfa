//go:build unix && race

package main

// longRun is a number of epochs that lasts long enough to be interrupted.
const longRun = "12"

// raceEnabled: the race detector takes memory of its own.
const raceEnabled = true
