/* Crashes while it is being loaded. */
#include "shared.h"

__attribute__((constructor)) static void loaded(void) { abort(); }

PLUGIN(.worker_init = keep_host, .handle = answer_ok);
