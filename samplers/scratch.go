package samplers

// Scratch is one worker's reusable memory. The zero Scratch is ready; not safe for
// concurrent use.
type Scratch struct{}
