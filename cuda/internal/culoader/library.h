// saint_lib_open opens a shared library; where it cannot it returns NULL and why has the reason.
void *saint_lib_open(const char *path, char *why, int size);

// saint_lib_symbol returns an entry of an opened library, or NULL.
void *saint_lib_symbol(void *lib, const char *name);
