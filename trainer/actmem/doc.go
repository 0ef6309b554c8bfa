// Package actmem stores activations between forward and backward. [Keep] holds them as they
// are; it is what a store must do when nothing is compressed.
//
// A store serves one arena. Within a step every Put is answered by one Get; Reset ends the
// step and must come before the arena's own Reset.
package actmem
