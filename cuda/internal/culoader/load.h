// saint_cu_open binds the entries to those of a library. It returns 0, -1 if there is no such
// library or it is not the driver, or the error of its cuInit; why then has the reason in words.
// *missing counts the entries that the library lacks.
int saint_cu_open(const char *library, char *why, int size, int *missing);

// saint_cu_symbol returns an entry of the opened driver, or NULL.
void *saint_cu_symbol(const char *name);
