/* The library that needs_lib.so finds beside itself. */
const char *neighbour_says(void);
__attribute__((visibility("default"))) const char *neighbour_says(void) { return "good neighbours"; }
