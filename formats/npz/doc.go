// Package npz reads and writes NumPy's .npz files, zip archives of .npy members, stored or
// deflated, with 64-bit sizes where needed, and the CSR matrices that scipy.sparse.save_npz
// keeps in them.
//
// [Open] lists an archive and reads members by name, several at once with ReadAll;
// [ReadCSR] and [WriteCSR] handle a whole sparse matrix. Sizes that an archive declares are
// checked against what its bytes can hold before anything is allocated, and what is wrong
// with a file comes back as a *formats.InputError.
package npz
