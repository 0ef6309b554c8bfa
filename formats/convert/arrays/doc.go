// Package arrays reads data sets that lie about as NumPy arrays under the names that PyTorch
// Geometric and DGL use: edge_index (2 x E) or src and dst, x, y, and the masks train_mask,
// val_mask and test_mask; as a folder of .npy files or as one .npz archive.
package arrays
