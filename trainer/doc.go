// Package trainer assembles models, runs training and scores models on whole graphs.
//
// [Train] is the run: phases, epochs, validation, checkpoints, resumption. [Stepper] does one
// weight update on one batch and knows nothing of epochs. [Evaluator] computes the logits of
// all nodes of a graph layer by layer, in row tiles, so that memory is bounded by the input,
// the output and the projection of one layer. Everything below works through the seams of
// trainer/tensor (devices) and trainer/nn (layers), so no line here names a device.
package trainer
