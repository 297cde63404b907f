/* A shared object that is not a plugin. */
int nothing_to_see(void);
int nothing_to_see(void) { return 0; }
